"""Completions of one partition: what may be committed, what counts against the bounds."""

from __future__ import annotations

import pytest

from pushcast.stream.tracker import RECORD_OVERHEAD_BYTES, Bounds, Segment, Tracker
from unit.kafka.records import record

BOUNDS = Bounds(records=10, bytes=1 << 20, targets=1000)


def hand_over(tracker: Tracker, *offsets: int) -> Segment:
    records = [record(offset) for offset in offsets]
    return tracker.hand_over(records, tracker.arrive(records))


def test_low_is_the_start_until_records_are_done() -> None:
    tracker = Tracker(7, BOUNDS)
    assert tracker.low == 7
    segment = hand_over(tracker, 7, 8, 9)
    assert tracker.low == 7
    tracker.done_all(segment)
    assert tracker.low == 10


def test_a_record_finished_early_does_not_move_low() -> None:
    tracker = Tracker(0, BOUNDS)
    first, second = hand_over(tracker, 0, 1), hand_over(tracker, 2, 3)
    tracker.done_all(second)
    tracker.done(first, [1])
    assert tracker.low == 0
    tracker.done(first, [0])
    assert tracker.low == 4


def test_gaps_of_compaction_and_markers_are_passed() -> None:
    tracker = Tracker(0, BOUNDS)
    first, second = hand_over(tracker, 5, 9), hand_over(tracker, 20)
    tracker.done(first, [5])
    assert tracker.low == 9
    tracker.done(first, [9])
    assert tracker.low == 20
    tracker.done_all(second)
    assert tracker.low == 21


def test_completing_twice_counts_once() -> None:
    tracker = Tracker(0, BOUNDS)
    segment = hand_over(tracker, 0, 1)
    assert tracker.done(segment, [0, 0, 99]) == 1
    assert tracker.done(segment, [0]) == 0
    assert tracker.done_all(segment) == 1
    assert tracker.done_all(segment) == 0
    assert (tracker.records, tracker.bytes, tracker.targets) == (0, 0, 0)


def test_a_lost_partition_completes_nothing() -> None:
    tracker = Tracker(0, BOUNDS)
    segment = hand_over(tracker, 0, 1)
    tracker.lost = True
    assert tracker.done(segment, [0]) == 0
    assert tracker.done_all(segment) == 0
    assert tracker.low == 0


def test_records_that_wait_count_against_the_bounds_and_do_not_hold_low() -> None:
    tracker = Tracker(0, Bounds(records=2))
    records = [record(0), record(1)]
    size = tracker.arrive(records)
    assert tracker.over
    assert size == 2 * (2 + RECORD_OVERHEAD_BYTES)
    assert tracker.low == 0
    tracker.leave(2, size)
    assert not tracker.over
    assert (tracker.records, tracker.bytes) == (0, 0)


@pytest.mark.parametrize(
    "bounds", [Bounds(records=2), Bounds(bytes=2 * RECORD_OVERHEAD_BYTES), Bounds(targets=10)], ids=["r", "b", "t"]
)
def test_each_bound_pauses_and_half_of_it_resumes(bounds: Bounds) -> None:
    tracker = Tracker(0, bounds)
    segment = hand_over(tracker, 0, 1)
    tracker.weigh(segment, 0, 6)
    tracker.weigh(segment, 1, 4)
    assert tracker.over
    assert not tracker.relaxed
    tracker.done(segment, [0])
    assert not tracker.over
    tracker.done(segment, [1])
    assert tracker.relaxed


def test_the_last_weight_of_a_record_counts() -> None:
    tracker = Tracker(0, BOUNDS)
    segment = hand_over(tracker, 0, 1)
    tracker.weigh(segment, 0, 6)
    tracker.weigh(segment, 0, 2)
    tracker.weigh(segment, 99, 5)
    assert tracker.targets == 2
    tracker.done(segment, [0])
    assert tracker.targets == 0
    tracker.weigh(segment, 0, 3)
    assert tracker.targets == 0


def test_a_record_of_which_part_is_let_go_counts_less_bytes_and_never_more() -> None:
    tracker = Tracker(0, BOUNDS)
    segment = hand_over(tracker, 0, 1)
    whole = tracker.bytes
    tracker.weigh(segment, 0, 1, RECORD_OVERHEAD_BYTES // 2)
    lighter = tracker.bytes
    assert lighter < whole
    tracker.weigh(segment, 0, 1, 1 << 20)
    tracker.weigh(segment, 99, 1, 0)
    assert tracker.bytes == lighter
    tracker.done(segment, [0, 1])
    assert tracker.bytes == 0


def test_the_oldest_unfinished_timestamp_follows_low() -> None:
    tracker = Tracker(0, BOUNDS)
    records = [record(0, timestamp_ms=500), record(1, timestamp_ms=400)]
    segment = tracker.hand_over(records, tracker.arrive(records))
    assert tracker.oldest_timestamp_ms() == 500
    tracker.done(segment, [0])
    assert tracker.oldest_timestamp_ms() == 400
    tracker.done(segment, [1])
    assert tracker.oldest_timestamp_ms() is None


def test_records_below_the_position_are_refused() -> None:
    tracker = Tracker(0, BOUNDS)
    hand_over(tracker, 0, 1)
    with pytest.raises(ValueError, match="at or above 2"):
        hand_over(tracker, 1)


def test_one_waiting_record_does_not_keep_its_neighbours() -> None:
    tracker = Tracker(0, BOUNDS)
    segment = hand_over(tracker, *range(1000))
    tracker.done(segment, range(999))
    assert segment.records == ()
    assert len(segment.index) == 1
    assert tracker.low == 999
