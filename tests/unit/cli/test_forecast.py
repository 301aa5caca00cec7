"""The forecast of `pushcast status` and `pushcast schedule forecast`: D9 of reference/time.md."""

from __future__ import annotations

from typing import Any, cast

from pushcast.audit.timer_forecast import add_timers
from pushcast.cli.forecast import lines, to_dict
from pushcast.config.providers import App
from pushcast.config.rates import fcm_quotas
from pushcast.model.drain import Lifetime
from pushcast.model.forecast import HOUR_MS, forecast
from pushcast.model.pacing import Rates
from pushcast.wire.control.control import Rate
from pushcast.wire.waiting.timers import Timer

NOW = 500_000 * HOUR_MS
FCM: dict[str, Any] = {"service_account_file": "a.json", "project_id": "p"}


def test_more_in_a_minute_than_a_provider_takes_is_said() -> None:
    due = forecast([NOW + 60_000] * 3_000 + [NOW + HOUR_MS] * 2 + [0], NOW)
    found = to_dict(due, {"news": 1_000, "chat": 5_000})
    assert found["takes_minutes"] == {"news": 3.0}
    assert found["fullest_minute"] == {"at": "2027-01-15T08:01:00.000Z", "due": 3_000}
    assert [row["due"] for row in found["hours"]] == [3_000, 2]
    assert found["minutes"] == [{"at": "2027-01-15T08:01:00.000Z", "due": 3_000}]
    assert list(lines(found)) == [
        "due: 3,001 within a minute, 3,001 within an hour, 3,003 within a day, 0 later; 1 overdue",
        "  3,000 in the minute of 2027-01-15T08:01:00.000Z: FCM takes at least 3.0 minutes for them (news)",
    ]


def test_nothing_that_waits_is_one_line() -> None:
    assert len(list(lines(to_dict(forecast([], NOW), {"news": 1_000})))) == 1


def test_a_topic_that_is_too_long_for_a_look_is_named() -> None:
    [line] = lines(None)
    assert "`pushcast schedule forecast`" in line


def test_only_apps_with_a_quota_are_judged() -> None:
    apps = {
        "google": App(fcm=cast(Any, FCM)),
        "own": App(fcm=cast(Any, {**FCM, "endpoint": "https://example.com"})),
        "apple": App(),
    }
    assert fcm_quotas(apps) == {"google": 600_000}


def test_a7_a_rate_that_is_too_slow_for_what_waits_is_said() -> None:
    rates = Rates({"xmas": Rate(16)}, {})

    def event(lives_ms: int) -> bytes:
        return b"%d" % lives_ms

    timers = [("ann", Timer("bulk", at, NOW, NOW, event=event(300_000), pace="campaign/xmas")) for at in range(12)]
    timers += [("ann", Timer("bulk", 20, NOW, NOW, event=event(0)))]  # keeps to none
    timers += [("ann", Timer("bulk", 21, NOW, NOW, event=event(0), pace="campaign/over"))]
    found = forecast([], NOW)
    add_timers(found, timers, rates, 8, lambda _, timer: Lifetime(None, NOW + int(timer.event)))
    assert found.to_expire == {"campaign/xmas": 2}, "two a minute of a partition, for five minutes"
    assert list(lines(to_dict(found, {})))[1:] == [
        "  about 2 expire before they may leave: the rate of campaign xmas is too slow"
    ]
    assert (found.overdue, found.within_an_hour) == (2, 14)
