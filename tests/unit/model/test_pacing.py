"""How fast notifications leave: A7 of reference/time.md."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushcast.model.pacing import Bucket, Rates

MINUTE = 60_000


class Rate(NamedTuple):
    per_minute: int


def leaving(per_minute: int, partitions: int, minutes: int, step_ms: int = 7) -> list[int]:
    """How many leave in each minute from one partition in which more than enough waits."""
    bucket, found = Bucket(partitions, 0), [0] * minutes
    for now in range(0, minutes * MINUTE, step_ms):
        count = bucket.allowed(per_minute, now)
        bucket.take(count)
        found[now // MINUTE] += count
    return found


@pytest.mark.parametrize("per_minute", [1_019, 960, 100_000])
def test_a_rate_is_not_rounded_whatever_its_second_is(per_minute: int) -> None:
    """OneSignal makes 960 of 1,019."""
    sums = leaving(per_minute, 8, 10)
    assert all(abs(count - per_minute / 8) <= 1 for count in sums[1:])
    assert abs(sum(sums) - 10 * per_minute / 8) <= 1 + per_minute / 8 / 60


def test_a_rate_of_less_than_one_a_minute_and_partition_leaves_all_the_same() -> None:
    sums = leaving(2, 8, 40)
    assert sum(sums) == 9, "one in four minutes"
    assert max(sums) == 1


def test_whoever_takes_a_partition_over_begins_with_nothing_and_no_more_than_a_second_is_saved_up() -> None:
    bucket = Bucket(1, 0)
    assert bucket.allowed(600, 0) == 0
    assert bucket.allowed(600, 3_600_000) == 10
    bucket.take(10)
    assert bucket.wait_ms(600) == 100
    assert bucket.allowed(600, 3_600_100) == 1


def test_a_clock_that_goes_back_gives_nothing_twice() -> None:
    bucket = Bucket(1, 10_000)
    bucket.take(bucket.allowed(600, 11_000))
    assert bucket.allowed(600, 10_500) == 0
    assert bucket.allowed(600, 11_099) == 0


@given(st.integers(1, 1_000_000), st.integers(1, 64), st.lists(st.integers(0, 5_000), max_size=60))
def test_no_stretch_of_time_has_more_than_its_share_and_a_second(
    per_minute: int, partitions: int, waits: list[int]
) -> None:
    bucket, now, left = Bucket(partitions, 0), 0, 0
    for wait in waits:
        now += wait
        count = bucket.allowed(per_minute, now)
        bucket.take(count)
        left += count
        assert left * MINUTE * partitions <= now * per_minute


def test_a7_an_apps_rate_is_for_what_keeps_to_no_other_and_not_for_events_of_all_apps() -> None:
    rates = Rates({"xmas": Rate(100)}, {"promo": 50}, {}, {"news": 20})
    assert rates.apps == {"news"}
    assert rates.of(None, "chat", "news") == rates.of("easter", "chat", "news") == "app/news"
    assert rates.of("xmas", "chat", "news") == "campaign/xmas"
    assert rates.of(None, "promo", "news") == "class/promo"
    assert rates.of(None, "chat", "games") == rates.of(None, "chat", None) == ""
    assert (rates.per_minute("app/news"), rates.per_minute("app/games")) == (20, None)


def test_the_campaigns_rate_counts_before_that_of_its_class_and_the_live_one_before_both() -> None:
    live: dict[str, Rate] = {}
    rates = Rates({"xmas": Rate(100)}, {"promo": 50}, live)
    assert rates.of("xmas", "promo") == "campaign/xmas"
    assert rates.of("easter", "promo") == rates.of(None, "promo") == "class/promo"
    assert rates.of("easter", "chat") == ""
    assert (rates.per_minute("campaign/xmas"), rates.per_minute("class/promo")) == (100, 50)
    live["xmas"], live["easter"] = Rate(7), Rate(9)
    assert rates.of("easter", "chat") == "campaign/easter"
    assert rates.per_minute("campaign/xmas") == 7
    del live["easter"]
    assert rates.per_minute("campaign/easter") is None, "what waits for it may go"
