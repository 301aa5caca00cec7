"""The bound that lets a stop take effect within seconds, and does not stop everybody for one platform."""

from __future__ import annotations

from pushcast.stream.lane_senders import GONE_SECONDS
from pushcast.walk.ahead import LEAST_TARGETS, RATE_SECONDS, Ahead


def planned(ahead: Ahead, platform: str, end: int, targets: int) -> None:
    ahead.put(platform, targets, 0.0)
    ahead.acked(platform, end, targets)


def test_what_kafka_has_not_acknowledged_counts() -> None:
    ahead = Ahead(max_targets=1_000)
    ahead.put("apns", 1_001, 0.0)
    assert ahead.holds(0.0) == ["apns"]
    assert not ahead.waits, "senders cannot have taken it"


def test_fact_27_a_walk_waits_above_the_bound_and_goes_on_when_senders_have_taken_enough() -> None:
    ahead = Ahead(max_targets=1_000)
    planned(ahead, "apns", 1, 600)
    assert not ahead.holds(0.0)
    planned(ahead, "apns", 2, 500)
    assert ahead.holds(0.0) == ["apns"]
    ahead.committed({"apns": 1}, 1.0)
    assert not ahead.holds(1.0)
    assert ahead.waits
    ahead.committed({"apns": 2}, 1.0)
    assert not ahead.waits


def test_a_platform_without_senders_holds_a_walk_for_a_minute_and_no_longer() -> None:
    ahead = Ahead(max_targets=100)
    planned(ahead, "apns", 1, 50)
    planned(ahead, "expo", 1, 500)
    assert ahead.holds(GONE_SECONDS - 1) == ["expo"]
    assert (ahead.holds(GONE_SECONDS), ahead.without_senders(GONE_SECONDS)) == ([], ["expo"])
    assert not ahead.all_gone(GONE_SECONDS), "APNs is below its bound"


def test_without_any_senders_the_walk_is_held() -> None:
    ahead = Ahead(max_targets=100)
    planned(ahead, "apns", 1, 500)
    planned(ahead, "fcm", 1, 500)
    assert ahead.all_gone(GONE_SECONDS)
    ahead.committed({"apns": 1}, GONE_SECONDS)
    assert not ahead.all_gone(GONE_SECONDS), "the senders of APNs are back"


def test_senders_that_move_slowly_are_not_gone() -> None:
    ahead = Ahead(max_targets=100)
    for number in range(1, 6):
        planned(ahead, "apns", number, 100)
    ahead.committed({"apns": 2}, 50.0)
    assert ahead.holds(100.0) == ["apns"]


def test_fact_26_no_more_is_ahead_than_the_senders_take_in_seconds() -> None:
    ahead = Ahead(max_targets=10_000)
    planned(ahead, "apns", 1, LEAST_TARGETS + 1)
    assert ahead.holds(0.0) == ["apns"], "nobody knows yet how fast they are"
    ahead.committed({"apns": 1}, 0.5)
    planned(ahead, "apns", 2, 3_000)
    assert not ahead.holds(0.5), "1,001 a second"
    planned(ahead, "apns", 3, 100)
    assert ahead.holds(0.5) == ["apns"]
    ahead.committed({"apns": 3}, 1.5)
    planned(ahead, "apns", 4, 10_000)
    assert not ahead.holds(1.5), "4,101 a second, and the bound of the configuration"
    ahead.committed({"apns": 4}, 2.0)
    planned(ahead, "apns", 5, LEAST_TARGETS + 1)
    assert not ahead.holds(2.0)
    assert ahead.holds(2.1 + RATE_SECONDS) == ["apns"], "they have taken nothing for seconds"
