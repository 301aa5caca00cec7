"""Between two quiet hours of an app a notification is planned as if there were none, and says the same as if each
device had been looked at."""

from __future__ import annotations

import random
from datetime import UTC, datetime, tzinfo
from typing import Any

import pytest

from pushcast.model import calm
from pushcast.model.calm import CalmTimes
from pushcast.model.preferences import NO_WISHES
from pushcast.model.quiet import AppTimes, Quiet, QuietRule
from pushcast.model.user import QuietHours
from pushcast.model.zones import zone_of
from pushcast.plan.local_times import LocalTimes
from twins.plan import PlanHarness, note, users_of

NIGHT = QuietHours(("mon", "tue", "wed", "thu", "fri", "sat", "sun"), "22:00", "07:00")
WEEKEND = QuietHours(("sat", "sun"), "00:30", "23:00")
SPREAD_MS = 300_000
ZONES = [zone for name in ("Europe/Berlin", "America/New_York", "UTC+05:30") if (zone := zone_of(name)) is not None]
USERS = [f"u{number}" for number in range(40)]


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize("zone", ZONES, ids=str)
def test_a_calm_span_is_where_no_user_has_quiet_hours_also_when_clocks_change(zone: tzinfo) -> None:
    rnd = random.Random(3)
    rule = QuietRule({"news": AppTimes(UTC, (NIGHT, WEEKEND))}, SPREAD_MS)
    times, windows = CalmTimes(rule), rule.windows(NO_WISHES, "news")
    for begins in ("2027-03-12", "2027-03-26", "2027-10-29", "2027-11-05"):
        for _ in range(300):
            now_ms = at(begins) + rnd.randrange(4 * 86_400_000)
            ends = [rule.until(windows, zone, user, now_ms) for user in USERS]
            span = times.span("news", zone, Quiet.HOLD, now_ms)
            if span is not None:
                assert ends == [None] * len(USERS)
                assert span.terms is not None
                assert span.terms.windows == windows
            elif all(until is None for until in ends):  # some other user's notifications still wait
                assert rule.until(windows, zone, USERS[0], now_ms - SPREAD_MS) is not None


def test_the_first_instant_of_quiet_hours_is_no_calm_and_the_one_before_is() -> None:
    berlin = ZONES[0]
    times = CalmTimes(QuietRule({"news": AppTimes(UTC, (NIGHT,))}, 0))
    assert times.span("news", berlin, Quiet.HOLD, at("2026-12-01T12:00")) is not None
    assert times.span("news", berlin, Quiet.HOLD, at("2026-12-01T21:00") - 1) is not None
    assert times.span("news", berlin, Quiet.HOLD, at("2026-12-01T21:00")) is None
    assert times.span("news", berlin, Quiet.HOLD, at("2026-12-02T06:00")) is not None


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calm, "MAX_KNOWN", 5)
    apps = {f"a{number}": AppTimes(UTC, (NIGHT,)) for number in range(20)}
    times = CalmTimes(QuietRule(apps, 0))
    for app in apps:
        assert times.span(app, ZONES[0], Quiet.HOLD, at("2026-12-01T12:00")) is not None
    assert len(times._known) <= 5


def test_what_a_user_has_chosen_stands_in_place_of_the_apps_and_is_told_apart_from_it() -> None:
    times = CalmTimes(QuietRule({"news": AppTimes(UTC, (NIGHT,))}, 0))
    noon, berlin = at("2026-12-01T12:00"), ZONES[0]
    chosen = (QuietHours(NIGHT.days, "11:00", "15:00"),)
    assert times.span("news", berlin, Quiet.HOLD, noon) is not None
    assert times.span("news", berlin, Quiet.HOLD, noon, chosen) is None
    span = times.span("news", berlin, Quiet.HOLD, noon + 10 * 3_600_000, chosen)
    assert span is not None
    assert span.terms is not None
    assert span.terms.windows == chosen


async def planned(hour: int, *, look_at_each: bool, monkeypatch: pytest.MonkeyPatch) -> Any:
    with monkeypatch.context() as patched:
        if look_at_each:
            patched.setattr(LocalTimes, "in_calm", lambda *_: None)
        windows = [{"days": list(NIGHT.days), "from": "22:00", "to": "07:00"}]
        harness = PlanHarness(apps={"news": {"time_zone": "Europe/Berlin", "quiet_hours": windows}, "chat": {}})
        harness.clock.advance(hour * 3600)
        events = []
        for number, user in enumerate(users_of(3, 12)):
            for device in range(1 + number % 3):
                zone = [None, "Asia/Tokyo", "America/New_York", "Mars/X"][(number + device * (number % 2)) % 4]
                harness.device(user, f"d{device}", ["news", "chat"][device % 2], time_zone=zone)
            app = [None, "news", "chat"][number % 3]
            options = {"thread_id": "t"} if number % 5 == 0 else {}
            created_at = harness.now_ms
            events.append((user, note(number, app=app, options=options, created_at=created_at)))
        await harness.feed(*events)
        await harness.acknowledge()
        return harness.batches(), harness.planned(), harness.receipts(), harness.counters, harness.outbox.log


@pytest.mark.parametrize("hour", range(0, 24, 3))
async def test_what_is_planned_in_a_calm_is_what_is_planned_by_looking_at_each_device(
    hour: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = await planned(hour, look_at_each=False, monkeypatch=monkeypatch)
    long = await planned(hour, look_at_each=True, monkeypatch=monkeypatch)
    assert short == long
    assert short[0], "some device gets something at every hour"
