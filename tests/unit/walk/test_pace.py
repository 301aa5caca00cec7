"""How far a paced walk may have come."""

from __future__ import annotations

from typing import NamedTuple

from pushcast.model.broadcast import NO_PACE, BroadcastPace
from pushcast.model.pacing import Rates
from pushcast.walk.pace import OrderPacer, PartitionRates


def test_a_walk_over_a_time_is_as_far_as_the_time() -> None:
    pacer = OrderPacer(BroadcastPace(over_seconds=100), 8, began=1_000.0, since=0.0)
    assert pacer.counts_rows
    pacer.rows = 200
    assert not pacer.counts_rows
    assert pacer.wait_seconds(0, 1_000.0, 0.0) == 0
    assert pacer.wait_seconds(20, 1_000.0, 0.0) == 10
    assert pacer.wait_seconds(20, 1_010.0, 0.0) == 0


def test_a_slice_takes_what_has_become_due_and_no_more() -> None:
    pacer = OrderPacer(BroadcastPace(over_seconds=100), 8, began=1_000.0, since=0.0)
    pacer.rows = 200
    assert pacer.rows_at_most(2_000, 0, 1_000.0, 0.0) == 1, "a walk that may go on goes on"
    assert pacer.rows_at_most(2_000, 4, 1_010.0, 0.0) == 16
    assert pacer.rows_at_most(10, 4, 1_010.0, 0.0) == 10
    assert pacer.rows_at_most(2_000, 4, 1_100.0, 0.0) == 2_000
    rate = OrderPacer(BroadcastPace(per_second=80), 8, began=1_000.0, since=50.0)
    rate.planned(10)
    assert rate.rows_at_most(2_000, 0, 0.0, 52.0) == 10


def test_when_the_time_is_up_the_rest_goes_at_once() -> None:
    pacer = OrderPacer(BroadcastPace(over_seconds=100), 8, began=1_000.0, since=0.0)
    pacer.rows = 200
    assert pacer.wait_seconds(20, 1_100.0, 0.0) == 0
    assert pacer.wait_seconds(900, 1_100.0, 0.0) == 0, "rows may have come since they were counted"


def test_an_empty_partition_does_not_wait() -> None:
    pacer = OrderPacer(BroadcastPace(over_seconds=100), 8, began=1_000.0, since=0.0)
    pacer.rows = 0
    assert pacer.wait_seconds(0, 1_000.0, 0.0) == 0


def test_each_partition_gets_its_share_of_a_rate() -> None:
    pacer = OrderPacer(BroadcastPace(per_second=80), 8, began=1_000.0, since=50.0)
    pacer.planned(10)
    assert pacer.wait_seconds(0, 0.0, 50.0) == 1.0
    assert pacer.wait_seconds(0, 0.0, 51.0) == 0


class PerMinute(NamedTuple):
    per_minute: int


def rated(live: dict[str, PerMinute], campaign: str | None = "spring", klass: str = "news") -> OrderPacer:
    """One of 8 partitions; the class has 4,800 a minute."""
    rate = PartitionRates(Rates({}, {"news": 4_800}, live), 8).of(campaign, klass)
    return OrderPacer(NO_PACE, 8, began=0.0, since=0.0, rate=rate)


def test_a_class_with_a_rate_lets_a_walk_plan_its_partitions_share() -> None:
    pacer = rated({})
    assert 0 < pacer.wait_seconds(0, 0.0, 0.0) <= 0.1
    assert pacer.rows_at_most(2_000, 0, 0.0, 1.0) == 10, "4,800 a minute are 10 a second in each of 8 partitions"
    pacer.planned(10)
    assert pacer.wait_seconds(10, 0.0, 1.0) > 0
    assert pacer.wait_seconds(10, 0.0, 1.2) == 0


def test_a_campaigns_rate_counts_before_its_classs_and_may_change_and_end_in_mid_walk() -> None:
    live = {"spring": PerMinute(48_000)}
    pacer = rated(live)
    pacer.wait_seconds(0, 0.0, 0.0)
    assert pacer.rows_at_most(2_000, 0, 0.0, 1.0) == 100
    live["spring"] = PerMinute(480)
    pacer.planned(100)
    assert pacer.wait_seconds(100, 0.0, 1.5) > 0
    del live["spring"]
    assert rated(live, klass="free").wait_seconds(0, 0.0, 0.0) == 0


def test_a7_a_broadcast_to_an_app_with_a_rate_keeps_to_it() -> None:
    rates = PartitionRates(Rates({}, {}, {}, {"games": 4_800}), 8)
    pacer = OrderPacer(NO_PACE, 8, began=0.0, since=0.0, rate=rates.of(None, "news", "games"))
    pacer.wait_seconds(0, 0.0, 0.0)
    assert pacer.rows_at_most(2_000, 0, 0.0, 1.0) == 10
    assert rates.of(None, "news", "chat") is None


def test_broadcasts_of_one_campaign_share_its_rate() -> None:
    rates = PartitionRates(Rates({}, {}, {"spring": PerMinute(4_800)}), 8)
    first, second = (OrderPacer(NO_PACE, 8, began=0.0, since=0.0, rate=rates.of("spring", "news")) for _ in range(2))
    first.wait_seconds(0, 0.0, 0.0)
    assert first.rows_at_most(2_000, 0, 0.0, 1.0) == 10
    first.planned(10)
    assert second.wait_seconds(0, 0.0, 1.0) > 0


def test_what_has_neither_campaign_nor_rate_is_not_paced() -> None:
    assert PartitionRates(Rates({}, {}, {}), 8).of(None, "news") is None


def test_a_pace_of_its_own_and_a_rate_both_hold_a_walk() -> None:
    rate = PartitionRates(Rates({}, {"news": 48_000}), 8).of(None, "news")
    pacer = OrderPacer(BroadcastPace(per_second=80), 8, began=0.0, since=0.0, rate=rate)
    pacer.wait_seconds(0, 0.0, 0.0)
    assert pacer.rows_at_most(2_000, 0, 0.0, 1.0) == 10
