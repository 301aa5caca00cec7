"""The forecast of `pushcast status` and `pushcast schedule forecast`: D9 of reference/time.md."""

from __future__ import annotations

from typing import Any, cast

from pushcast.cli.forecast import lines, quotas_of, to_dict
from pushcast.config.providers import App
from pushcast.model.forecast import HOUR_MS, forecast

NOW = 500_000 * HOUR_MS
FCM: dict[str, Any] = {"service_account_file": "a.json", "project_id": "p"}


def test_more_in_a_minute_than_a_provider_takes_is_said() -> None:
    due = forecast([NOW + 60_000] * 3_000 + [NOW + HOUR_MS] * 2 + [0], NOW)
    found = to_dict(due, {"news": 1_000, "chat": 5_000})
    assert found["takes_minutes"] == {"news": 3.0}
    assert found["fullest_minute"] == {"at": "2027-01-15T08:01:00.000Z", "due": 3_000}
    assert [row["due"] for row in found["hours"]] == [3_000, 2]
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
    assert quotas_of(apps) == {"google": 600_000}
