"""Commits of batch stages, on a consumer and a coordinator made by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, cast

from pushcast.stream.batch import TP, Committed
from pushcast.stream.stage import Stage
from pushcast.stream.tracker import Bounds
from pushcast.transport.commits import Commits
from pushcast.transport.partition import Partition
from unit.kafka.records import record

HERE, THERE = TP("t", 0), TP("t", 1)
START = 10


class Noted(Stage):
    """Its metadata is what it last looked up."""

    def __init__(self) -> None:
        self.note = "old"
        self.found = "old"
        self.errors: list[Exception] = []

    def commit_metadata(self, tp: TP, offset: int) -> str:
        return f"{self.note}@{offset}"

    async def refresh(self) -> None:
        await asyncio.sleep(0)
        if self.errors:
            raise self.errors.pop()
        self.note = self.found


class Consumer:
    """What `Commits` asks of a consumer, and the coordinator behind it."""

    def __init__(self, *tps: TP) -> None:
        self.lease: object | None = object()
        self.restored = True
        self.stage = Noted()
        self.takes = True
        self.sent: list[dict[TP, Committed]] = []
        self.partitions = {tp: self._partition(tp) for tp in tps}
        self.commits = Commits(cast(Any, self))
        for tp in tps:
            self.commits.begin(tp, Committed(START, self.stage.commit_metadata(tp, START)))

    def _partition(self, tp: TP) -> Partition:
        return Partition(tp, self.stage, Committed(START, ""), START, Bounds(100, 1 << 20), 100, lambda: None)

    @property
    def thread(self) -> Consumer:
        return self

    async def commit_offsets(self, lease: object | None, offsets: Mapping[TP, Committed]) -> bool:
        assert lease is self.lease
        await asyncio.sleep(0)
        self.sent.append(dict(offsets))
        return self.takes

    def finish(self, tp: TP, count: int) -> None:
        """So many more records of the partition are done."""
        tracker = self.partitions[tp].tracker
        start = tracker.next_offset
        records = [record(start + n, topic=tp.topic, partition=tp.partition) for n in range(count)]
        segment = tracker.hand_over(records, tracker.arrive(records))
        tracker.done_all(segment)

    async def refresh(self) -> None:
        """Lets a refresh begin and end."""
        self.commits.refresh_now_and_then()
        for _ in range(10):
            await asyncio.sleep(0)


async def test_only_watermarks_that_moved_are_committed_unless_forced() -> None:
    consumer = Consumer(HERE, THERE)
    consumer.finish(HERE, 3)
    assert await consumer.commits.commit_partitions([HERE, THERE])
    assert not await consumer.commits.commit_partitions([HERE, THERE])
    assert await consumer.commits.commit_partitions([THERE], force=True)
    assert consumer.sent == [{HERE: Committed(13, "old@13")}, {THERE: Committed(10, "old@10")}]


async def test_what_kafka_did_not_take_is_committed_the_next_time() -> None:
    consumer = Consumer(HERE)
    consumer.finish(HERE, 1)
    consumer.takes = False
    assert not await consumer.commits.commit_partitions([HERE])
    consumer.takes = True
    assert await consumer.commits.commit_partitions([HERE])
    assert consumer.sent == [{HERE: Committed(11, "old@11")}] * 2


async def test_a_commit_for_an_assignment_that_is_over_does_nothing() -> None:
    consumer = Consumer(HERE)
    consumer.finish(HERE, 1)
    assert not await consumer.commits.commit_partitions([HERE], lease=object())
    assert not await consumer.commits.commit_partitions([THERE], force=True), "not ours"
    assert consumer.sent == []


async def test_where_nothing_moves_metadata_is_committed_when_it_has_changed() -> None:
    consumer = Consumer(HERE, THERE)
    consumer.finish(THERE, 1)
    consumer.stage.found = "new"
    await consumer.refresh()
    assert consumer.sent == [{HERE: Committed(START, "new@10")}], "the other one goes with the next commit"


async def test_metadata_that_is_as_it_was_is_not_committed_again() -> None:
    consumer = Consumer(HERE)
    await consumer.refresh()
    assert consumer.sent == []


async def test_a_refresh_that_kafka_cannot_answer_leaves_the_metadata_as_it_is() -> None:
    consumer = Consumer(HERE)
    consumer.stage.found = "new"
    consumer.stage.errors.append(TimeoutError())
    await consumer.refresh()
    assert consumer.sent == []


async def test_a_refresh_that_a_rebalance_overtakes_commits_nothing() -> None:
    consumer = Consumer(HERE)
    consumer.stage.found = "new"
    consumer.commits.refresh_now_and_then()
    await asyncio.sleep(0)  # it has begun
    consumer.lease = object()
    for _ in range(10):
        await asyncio.sleep(0)
    assert (consumer.stage.note, consumer.sent) == ("new", [])


async def test_a_refresh_waits_its_time() -> None:
    consumer = Consumer(HERE)
    await consumer.refresh()
    consumer.stage.found = "new"
    await consumer.refresh()
    assert consumer.stage.note == "old"
