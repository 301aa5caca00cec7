"""How far a paced walk may have come."""

from __future__ import annotations

from pushcast.model.broadcast import BroadcastPace
from pushcast.walk.pace import OrderPacer


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
