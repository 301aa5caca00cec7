"""Configurations that `bench configured` compares."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from pushcast.bench.configured import BARE, configurations
from pushcast.config.quiet import app_times
from pushcast.config.settings import Settings
from pushcast.model.preferences import NO_WISHES
from pushcast.model.quiet import QuietRule
from pushcast.model.zones import zone_of
from pushcast.plan.wanted import Wanted

NOW = datetime(2026, 12, 1, 20, 30, tzinfo=UTC)


def test_what_keep_does_is_configured_for_others_than_the_events_of_the_bench() -> None:
    found = {name: Settings(**tree) for name, tree in configurations(NOW).items()}
    assert set(found["keep"].classes) - set(found[BARE].classes) == {"promo", "posts", "slow"}
    assert "default" not in found["keep"].counted_classes
    assert found["keep"].classes["default"] == found[BARE].classes["default"]


def test_no_event_of_the_bench_comes_in_quiet_hours() -> None:
    settings = Settings(**configurations(NOW)["quiet"])
    assert Wanted(settings).quiet_alone == {"default"}
    times = app_times(settings.apps)
    windows = QuietRule(times, 0).windows(NO_WISHES, "news")
    for zone in filter(None, map(zone_of, ("Europe/Berlin", "UTC+00:00"))):
        for hours in range(3):
            at = NOW + timedelta(hours=hours)
            assert QuietRule(times, 0).until(windows, zone, "u", round(at.timestamp() * 1000)) is None
