"""The worker of one partition, without Kafka."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from pushcast.model.words import Lane, Platform
from pushcast.stream import retrying
from pushcast.stream.batch import TP, Batch, Committed, Record
from pushcast.stream.stage import Stage
from pushcast.stream.tracker import Bounds
from pushcast.transport.partition import Partition
from pushcast.wire import topics
from pushcast.wire.newer import NewerSchema
from pushcast.wire.schemas import SINGLE_OBJECT_MARKER, avro_type, written_type
from unit.kafka.records import record


class Recorder(Stage):
    """Notes the offsets of each batch and leaves completion to the test."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.seen: list[list[int]] = []
        self.errors: list[Exception] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def handle(self, batch: Batch) -> None:
        self.seen.append([each.offset for each in batch.records])
        await self.gate.wait()
        if self.errors:
            batch.done(batch.records[0].offset)
            raise self.errors.pop(0)
        self.batches.append(batch)


async def nothing() -> None:
    """A partition that needs no preparation."""


def offsets(*numbers: int) -> list[Record]:
    return [record(number) for number in numbers]


@asynccontextmanager
async def working(
    stage: Stage, bounds: Bounds, resumed: Callable[[], None] = lambda: None, merge: int = 100
) -> AsyncIterator[Partition]:
    partition = Partition(TP("t", 0), stage, Committed(None, ""), 0, bounds, merge, resumed)
    worker = asyncio.create_task(partition.run(nothing()))
    try:
        yield partition
    finally:
        partition.close()
        await asyncio.wait_for(worker, 5)


async def turns() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.fixture(autouse=True)
def _no_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrying, "FIRST_BACKOFF_SECONDS", 0.0)


async def test_lists_that_wait_are_handed_over_together() -> None:
    stage = Recorder()
    stage.gate.clear()
    async with working(stage, Bounds(), merge=3) as partition:
        partition.feed(offsets(0))
        await turns()
        for number in range(1, 6):
            partition.feed(offsets(number))
        stage.gate.set()
        await turns()
    assert stage.seen == [[0], [1, 2, 3], [4, 5]]


async def test_a_kafka_error_hands_the_unfinished_records_over_again() -> None:
    stage = Recorder()
    stage.errors = [ConnectionError("gone"), TimeoutError()]
    async with working(stage, Bounds()) as partition:
        partition.feed(offsets(0, 1, 2))
        await turns()
        assert stage.seen == [[0, 1, 2], [1, 2], [2]]
        assert partition.tracker.low == 2


async def test_any_other_exception_ends_the_worker() -> None:
    stage = Recorder()
    stage.errors = [ValueError("bug")]
    partition = Partition(TP("t", 0), stage, Committed(None, ""), 0, Bounds(), 10, lambda: None)
    partition.feed(offsets(0, 1))
    with pytest.raises(ValueError, match="bug"):
        await asyncio.wait_for(partition.run(nothing()), 5)
    assert partition.tracker.low == 1


async def test_no_batch_before_the_preparation_is_over() -> None:
    stage, ready = Recorder(), asyncio.Event()

    async def prepare() -> None:
        await ready.wait()

    partition = Partition(TP("t", 0), stage, Committed(None, ""), 0, Bounds(), 10, lambda: None)
    worker = asyncio.create_task(partition.run(prepare()))
    partition.feed(offsets(0))
    await turns()
    assert stage.seen == []
    ready.set()
    await turns()
    assert stage.seen == [[0]]
    partition.close()
    await worker


async def test_it_pauses_at_its_bound_and_resumes_below_half() -> None:
    stage, resumed = Recorder(), list[int]()
    async with working(stage, Bounds(records=4), lambda: resumed.append(1)) as partition:
        partition.feed(offsets(0, 1, 2))
        assert not partition.paused
        partition.feed(offsets(3))
        assert partition.paused
        await turns()
        stage.batches[0].done_many([0, 1])
        assert partition.paused
        stage.batches[0].done(3)
        assert not partition.paused
        assert resumed == [1]


async def test_targets_pause_as_soon_as_they_are_known() -> None:
    stage = Recorder()
    async with working(stage, Bounds(targets=100)) as partition:
        partition.feed(offsets(0))
        await turns()
        stage.batches[0].weigh(0, 100)
        assert partition.paused
        stage.batches[0].done_all()
        assert not partition.paused


async def test_records_that_were_seen_are_not_taken_twice() -> None:
    stage = Recorder()
    async with working(stage, Bounds()) as partition:
        partition.feed(offsets(0, 1))
        partition.feed(offsets(0, 1, 2))
        partition.feed(offsets(1, 2))
        await turns()
    assert sorted(offset for batch in stage.seen for offset in batch) == [0, 1, 2]


async def test_what_the_log_leaves_out_is_passed_when_everything_before_it_was_handed_over() -> None:
    stage = Recorder()
    async with working(stage, Bounds()) as partition:
        partition.passed(3)
        assert partition.tracker.low == 3
        partition.feed(offsets(3, 4))
        partition.passed(7)
        assert partition.tracker.low == 3
        await turns()
        assert partition.tracker.low == 3
        stage.batches[0].done_all()
        assert partition.tracker.low == 7


async def test_a_position_that_is_behind_moves_nothing() -> None:
    stage = Recorder()
    async with working(stage, Bounds()) as partition:
        partition.feed(offsets(3, 4))
        partition.passed(2)
        await turns()
        stage.batches[0].done_all()
        assert partition.tracker.low == 5


async def test_close_forgets_what_waits_and_lets_the_running_batch_end() -> None:
    stage = Recorder()
    stage.gate.clear()
    async with working(stage, Bounds()) as partition:
        partition.feed(offsets(0))
        await turns()
        partition.feed(offsets(1, 2))
        partition.close()
        partition.feed(offsets(3))
        assert partition.tracker.records == 1
        stage.gate.set()
        await turns()
        drained = asyncio.create_task(partition.drained())
        await turns()
        assert not drained.done()
        stage.batches[0].done_all()
        await asyncio.wait_for(drained, 5)
    assert stage.seen == [[0]]
    assert partition.tracker.low == 1


async def test_a_batch_of_a_lost_partition_completes_nothing() -> None:
    stage = Recorder()
    async with working(stage, Bounds()) as partition:
        partition.feed(offsets(0))
        await turns()
        partition.tracker.lost = True
        assert stage.batches[0].lost
        stage.batches[0].done_all()
        assert partition.tracker.low == 0


async def test_markers_by_which_somebody_asks_whether_he_may_write_are_done_and_no_stage_sees_them() -> None:
    stage = Recorder()
    async with working(stage, Bounds(100, 1 << 20, 100)) as partition:
        marker = record(1, None)
        object.__setattr__(marker, "headers", (("push-probe", b"1"),))
        partition.feed([record(0), marker, record(2, None)])
        await turns()
        assert stage.seen == [[0, 2]], "a null value without the header is the stage's to judge"
        stage.batches[0].done_many([0, 2])
        assert partition.tracker.low == 3


NEWER = SINGLE_OBJECT_MARKER + b"tomorrow" + b"body"
SEND = topics.send(Platform.APNS, Lane.URGENT)


@asynccontextmanager
async def on(topic: str, stage: Stage) -> AsyncIterator[Partition]:
    partition = Partition(TP(topic, 3), stage, Committed(None, ""), 0, OPEN, 100, lambda: None)
    worker = asyncio.create_task(partition.run(nothing()))
    try:
        yield partition
    finally:
        partition.close()
        await asyncio.wait_for(worker, 5)


OPEN = Bounds(records=1000, bytes=1 << 20)
INTERNAL_KINDS = [SEND, topics.PARKED, topics.retry("5m"), topics.TOKEN_INVALID, topics.TOKEN_HOLD]


@pytest.mark.parametrize("topic", [*INTERNAL_KINDS, topics.ticket(Platform.EXPO)])
async def test_a_record_of_a_later_release_is_waited_for_where_only_pushcast_writes(topic: str) -> None:
    """Rulings I.7: what came before goes on, nothing behind it is handed over, and it is named."""
    stage = Recorder()
    async with on(topic, stage) as partition:
        partition.feed([*offsets(0, 1), record(2, NEWER), *offsets(3)])
        partition.feed(offsets(4))
        await turns()
        assert stage.seen == [[0, 1]]
        assert partition.waits_for is not None
        assert f"{topic}[3]@2 has schema {b'tomorrow'.hex()}" in partition.waits_for
        for batch in stage.batches:
            batch.done_all()
        assert partition.tracker.low == 2, "so the next owner begins with it"


async def test_lists_are_not_merged_over_a_record_of_a_later_release() -> None:
    stage = Recorder()
    stage.gate.clear()
    async with on(SEND, stage) as partition:
        partition.feed(offsets(0))
        await turns()
        partition.feed(offsets(1))
        partition.feed([record(2, NEWER)])
        partition.feed(offsets(3))
        stage.gate.set()
        await turns()
        assert stage.seen == [[0], [1]]


async def test_on_an_intake_topic_it_is_for_the_stage_to_refuse() -> None:
    stage = Recorder()
    async with on(topics.notification(Lane.URGENT), stage) as partition:
        partition.feed([record(0, NEWER), *offsets(1)])
        await turns()
        assert stage.seen == [[0, 1]]
        assert partition.waits_for is None


async def test_nobody_gives_way_to_records_that_only_a_later_release_can_read() -> None:
    stage = Recorder()
    stage.gate.clear()
    async with on(SEND, stage) as partition:
        partition.feed([*offsets(0), record(1, NEWER), *offsets(2)])
        assert partition.waits, "what stands before it gets on"
        await turns()
        assert not partition.waits, "the first is under way, and the next only a later release can read"
        stage.gate.set()
        await turns()
        partition.feed(offsets(3))
        assert not partition.waits


async def test_nobody_gives_way_to_what_stands_behind_a_batch_that_waits_for_a_later_release() -> None:
    stage = Recorder()
    async with on(SEND, stage) as partition:
        stage.gate.clear()
        partition.feed(offsets(0, 1))
        await turns()
        partition.feed(offsets(2))
        assert partition.waits
        partition.failed(NewerSchema("a row"))
        assert not partition.waits
        stage.gate.set()


async def test_what_a_stage_waits_for_is_told_until_it_is_over(caplog: pytest.LogCaptureFixture) -> None:
    stage = Recorder()
    stage.errors = [NewerSchema("a row"), NewerSchema("a row"), NewerSchema("a row")]
    async with on(SEND, stage) as partition:
        stage.gate.clear()
        partition.feed(offsets(0, 1, 2, 3))
        stage.gate.set()
        await turns()
        assert partition.waits_for is None, "it is readable by now"
    assert [each.getMessage() for each in caplog.records if "waits" in each.getMessage()] == [
        f"batch {SEND}[3]@0 waits: a row"
    ], "said once"


async def test_records_of_an_earlier_release_are_counted_by_topic() -> None:
    earlier: Counter[str] = Counter()
    old, new = written_type("receipt", 1).frame, avro_type("receipt").frame
    for topic in (topics.PARKED, topics.notification(Lane.URGENT)):
        partition = Partition(TP(topic, 3), Recorder(), Committed(None, ""), 0, OPEN, 100, lambda: None, earlier)
        partition.feed([record(0, old), record(1, new), record(2, old), record(3, None), record(4, b"junk")])
    assert earlier == {topics.PARKED: 2}
