"""Tenures: one object for each partition and assignment, closed before the partition goes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from pushcast.stream.batch import TP, Batch, Committed
from pushcast.stream.tenure import Passing, Pending, Tenures
from pushcast.stream.tracker import Bounds, Tracker
from twins.kafka import record

FIRST, SECOND = TP("t", 0), TP("t", 1)
NOTHING = Committed(None, "")


@dataclass
class Held:
    tp: TP
    committed: Committed
    pending: Pending = field(default_factory=Pending)
    closed: bool = False

    def close(self) -> None:
        self.closed = True


async def test_an_assignment_makes_a_tenure_from_what_was_committed() -> None:
    tenures = Tenures(Held)
    tenures.begin({FIRST: Committed(7, "known")})
    assert tenures.of(FIRST).committed == Committed(7, "known")
    assert tenures.get(SECOND) is None


async def test_a_partition_that_is_assigned_again_gets_a_new_tenure_and_the_old_one_is_closed() -> None:
    tenures = Tenures(Held)
    tenures.begin({FIRST: NOTHING})
    earlier = tenures.of(FIRST)
    tenures.begin({FIRST: NOTHING})
    assert earlier.closed
    assert tenures.of(FIRST) is not earlier
    assert list(tenures) == [tenures.of(FIRST)]


async def test_the_end_waits_for_acknowledgements_of_the_partitions_that_go_and_of_no_others() -> None:
    tenures = Tenures(Held)
    tenures.begin({FIRST: NOTHING, SECOND: NOTHING})
    tenures.of(FIRST).pending.begun(2)
    tenures.of(SECOND).pending.begun()
    end = asyncio.ensure_future(tenures.end([FIRST]))
    await asyncio.sleep(0)
    assert tenures.of(FIRST).closed
    assert not tenures.of(SECOND).closed
    tenures.of(FIRST).pending.ended()
    await asyncio.sleep(0)
    assert not end.done()
    tenures.of(FIRST).pending.ended()
    await end
    assert len(tenures.of(SECOND).pending) == 1


async def test_a_closed_tenure_stays_for_the_last_commit() -> None:
    tenures = Tenures(Held)
    tenures.begin({FIRST: Committed(3, "fences")})
    await tenures.end([FIRST])
    held = tenures.get(FIRST)
    assert held is not None
    assert held.committed.metadata == "fences"


async def test_a_forgotten_tenure_is_closed_and_the_next_question_makes_another() -> None:
    tenures = Tenures(Held)
    tenures.begin({FIRST: Committed(3, "fences"), SECOND: NOTHING})
    held = tenures.of(FIRST)
    tenures.forget([FIRST])
    assert held.closed
    assert tenures.get(FIRST) is None
    assert tenures.of(FIRST).committed == NOTHING
    assert not tenures.of(SECOND).closed


async def test_records_of_a_stage_that_holds_nothing_back_are_pending_until_kafka_has_their_outputs() -> None:
    tracker = Tracker(0, Bounds())
    records = [record(FIRST.topic, 0, offset, None, b"v") for offset in range(3)]
    batch = Batch(FIRST, tracker, tracker.hand_over(records, tracker.arrive(records)), lambda: None)
    tenures = Tenures(lambda tp, committed: Passing())
    completed = tenures.of(FIRST).completing(batch, [0, 1])
    end = asyncio.ensure_future(tenures.end([FIRST]))
    await asyncio.sleep(0)
    assert (end.done(), tracker.low) == (False, 0)
    completed()
    await end
    assert tracker.low == 2
