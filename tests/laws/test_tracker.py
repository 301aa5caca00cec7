"""The low watermark never passes an unfinished record, whatever the gaps and the order of completions."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pushcast.stream.tracker import Bounds, Segment, Tracker
from unit.kafka.records import record

gaps = st.lists(st.lists(st.integers(1, 4), min_size=1, max_size=8), min_size=1, max_size=6)
steps = st.lists(
    st.tuples(st.sampled_from(["hand over", "some", "all", "again"]), st.integers(0, 99), st.integers(0, 99))
)


def batches_of(start: int, gaps: list[list[int]]) -> list[list[int]]:
    offset, batches = start - 1, []
    for batch in gaps:
        batches.append([offset := offset + gap for gap in batch])
    return batches


@given(start=st.integers(0, 1000), gaps=gaps, steps=steps)
def test_low_is_the_lowest_unfinished_offset_or_the_position(
    start: int, gaps: list[list[int]], steps: list[tuple[str, int, int]]
) -> None:
    tracker = Tracker(start, Bounds())
    waiting = batches_of(start, gaps)
    segments: list[tuple[Segment, list[int]]] = []
    unfinished: set[int] = set()

    def holds() -> None:
        position = segments[-1][1][-1] + 1 if segments else start
        assert tracker.low == (min(unfinished) if unfinished else position)
        assert tracker.oldest_timestamp_ms() == (min(unfinished) if unfinished else None)
        assert tracker.records == len(unfinished)

    for step, one, other in steps:
        if step == "hand over" and waiting:
            offsets = waiting.pop(0)
            records = [record(each, b"x" * (each % 7)) for each in offsets]
            segments.append((tracker.hand_over(records, tracker.arrive(records)), offsets))
            unfinished.update(offsets)
        elif segments:
            segment, offsets = segments[one % len(segments)]
            finished = {
                "some": set(offsets[other % len(offsets) :: 2]),
                "all": set(offsets),
            }.get(step, {each for each in offsets if each not in unfinished})
            done = tracker.done_all(segment) if step == "all" else tracker.done(segment, finished)
            assert done == len(unfinished & finished)
            unfinished -= finished
        holds()
    for segment, offsets in reversed(segments):
        tracker.done_all(segment)
        unfinished.difference_update(offsets)
        holds()
    assert (tracker.bytes, tracker.targets) == (0, 0)


@given(
    weights=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 50)), max_size=30),
    done=st.lists(st.integers(0, 9), max_size=12),
)
def test_targets_are_those_of_unfinished_records(weights: list[tuple[int, int]], done: list[int]) -> None:
    tracker = Tracker(0, Bounds())
    records = [record(offset) for offset in range(10)]
    segment = tracker.hand_over(records, tracker.arrive(records))
    last: dict[int, int] = {}
    for index, (offset, targets) in enumerate(weights):
        tracker.weigh(segment, offset, targets)
        if offset not in done[:index]:
            last[offset] = targets
        if index < len(done):
            tracker.done(segment, [done[index]])
            last.pop(done[index], None)
        assert tracker.targets == sum(last.values())
    tracker.done_all(segment)
    assert tracker.targets == 0
