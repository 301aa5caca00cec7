"""Configurations that `bench configured` compares."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import permutations

from pushcast.bench.base import Options, Row
from pushcast.bench.configured import BARE, ROUNDS, compared, configurations, order, shapes_of
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


def test_over_the_rounds_no_configuration_comes_behind_another_more_often_than_before_it() -> None:
    names = list(configurations(NOW))
    rounds = [order(names, number) for number in range(ROUNDS)]
    assert {tuple(each) for each in rounds} == set(permutations(names))
    for one, other in permutations(names, 2):
        assert sum(each.index(one) < each.index(other) for each in rounds) == ROUNDS / 2


def test_the_bare_configuration_plans_what_is_compared_with_it_and_nothing_else() -> None:
    wanted = Options(shapes=("alert/keep",))
    assert shapes_of(wanted, BARE) == shapes_of(wanted, "keep") == ["alert"]
    assert shapes_of(wanted, "quiet") == []
    assert shapes_of(Options(), BARE) == shapes_of(Options(), "quiet") == ["alert", "chat"]


def test_a_configuration_is_compared_round_by_round_and_one_disturbed_round_says_nothing() -> None:
    def row(cpu_seconds: float) -> Row:
        return Row("row", 10, 1.0, cpu_seconds, 0)

    found = compared([row(2.0)] * (ROUNDS - 1) + [row(18.0)], [row(2.0)] * ROUNDS)
    assert found["median"] == 1.0
    assert found["interval"] == [1.0, 1.0]
    assert found["ratios"][-1] == 9.0
