"""Claim, fence and own tail on a real broker."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import faust
import pytest
import pytest_asyncio

from flow.kafka_tools import committed, create_topic, produce, read_all, running, until
from flow.test_read_committed import transactional, write
from pushcast.handover import reading
from pushcast.handover.claims import ClaimRefused
from pushcast.handover.fences import Fences, author_of
from pushcast.handover.reading import SpanReader, TailUnreadable
from pushcast.handover.runner import Handover
from pushcast.handover.standing import decode
from pushcast.kafka.outbox import KafkaOutbox
from pushcast.model.clock import ManualClock
from pushcast.stream.assignment import boottime_seconds
from pushcast.stream.batch import TP, Batch, Bounds, Committed
from pushcast.stream.stage import Stage
from pushcast.transport import commits
from pushcast.transport.app import add_batch_stage, make_app
from pushcast.transport.host import run_apps, state
from pushcast.transport.probes import readiness
from pushcast.wire.headers import Headers


def items_of(_: Headers, value: bytes) -> Iterable[tuple[int, bytes]]:
    """A send record of these tests: `source offset:item`."""
    offset, item = value.split(b":", 1)
    return [(int(offset), item)]


def offsets_of(value: bytes) -> Iterable[int]:
    return [int(value)]


@dataclass
class Coordinator:
    """Keeps commits in memory, and refuses whoever is not the owner."""

    metadata: dict[TP, Callable[[], str]] = field(default_factory=dict)
    committed: dict[TP, Committed] = field(default_factory=dict)
    owner: bool = True

    async def commit_now(self, partitions: Iterable[TP]) -> bool:
        if self.owner:
            for tp in partitions:
                self.committed[tp] = Committed(0, self.metadata[tp]())
        return self.owner


class Lab:
    """Two output topics with one partition of source topic `src`, and as many planners as a test wants."""

    def __init__(self, servers: str, sends: str, planned: str, outbox: KafkaOutbox) -> None:
        self.servers, self.sends, self.planned, self.outbox = servers, sends, planned, outbox
        self.clock = ManualClock()
        self.tp = TP("src", 1)

    def handover(self) -> Handover:
        reader = SpanReader(self.servers)
        return Handover(
            "plan",
            {self.sends: items_of},
            self.planned,
            offsets_of,
            outbox=self.outbox,
            reader=reader,
            clock=self.clock,
        )

    async def take_over(self, at: Committed) -> tuple[Handover, Committed]:
        handover, coordinator = self.handover(), Coordinator()
        coordinator.metadata[self.tp] = lambda: handover.metadata(self.tp, at.offset or 0)
        await asyncio.wait_for(handover.take_over(coordinator, {self.tp: at}), 30)
        return handover, coordinator.committed[self.tp]

    async def write(self, handover: Handover, topic: str, *values: bytes) -> None:
        barrier = self.outbox.barrier()
        for value in values:
            self.outbox.put(barrier, topic, self.tp.partition, value, None, handover.origin(self.tp))
        await asyncio.wait_for(barrier.wait(), 20)

    async def counted(self, topic: str) -> list[bytes]:
        """Values that a reader takes for valid."""
        fences = Fences()
        found = await asyncio.to_thread(read_all, self.servers, topic)
        return [
            message.value() or b""
            for message in found
            if fences.admit(author_of(cast(Any, message.headers())), message.offset() or 0)
        ]


@pytest_asyncio.fixture
async def lab(kafka: str, unique: Callable[[str], str]) -> AsyncIterator[Lab]:
    failures: list[BaseException] = []
    outbox = KafkaOutbox(kafka, loop=asyncio.get_running_loop(), on_fatal=failures.append)
    lab = Lab(kafka, create_topic(kafka, unique("sends")), create_topic(kafka, unique("planned")), outbox)
    reader, ready = SpanReader(kafka), False
    async with asyncio.timeout(30):
        while not ready:  # a topic just made has no leader for a moment; in an App the transport tries again
            with contextlib.suppress(TailUnreadable):
                ready = bool(await reader.ends([(lab.sends, 1), (lab.planned, 1)]))
    yield lab
    await outbox.close(5.0)
    assert not failures


async def test_a_claim_that_kafka_refuses_writes_no_fence(lab: Lab) -> None:
    with pytest.raises(ClaimRefused):
        await lab.handover().take_over(Coordinator(owner=False), {lab.tp: Committed(0, "")})
    assert await asyncio.to_thread(read_all, lab.servers, lab.planned) == []


async def test_the_next_owner_knows_what_is_there_and_a_zombie_writes_in_vain(lab: Lab) -> None:
    old, claimed = await lab.take_over(Committed(0, ""))
    old.note(lab.tp, 0, 2)
    await lab.write(old, lab.sends, b"0:a", b"1:b", b"1:c", b"2:d")
    await lab.write(old, lab.planned, b"0")

    new, claimed_again = await lab.take_over(claimed)
    tail = new.tail(lab.tp)
    assert tail.done == {0}
    assert tail.there == {1: {lab.sends: {b"b", b"c"}}, 2: {lab.sends: {b"d"}}}
    assert decode(claimed_again.metadata).epoch > decode(claimed.metadata).epoch
    assert decode(claimed_again.metadata).positions == decode(claimed.metadata).positions

    await lab.write(old, lab.sends, b"2:late")
    await lab.write(old, lab.planned, b"2")
    await lab.write(new, lab.planned, b"1")
    assert await lab.counted(lab.sends) == [b"0:a", b"1:b", b"1:c", b"2:d"]
    assert await lab.counted(lab.planned) == [b"0", b"1"]

    third, _ = await lab.take_over(Committed(0, new.metadata(lab.tp, 0)))
    assert third.tail(lab.tp).done == {0, 1}, "inherited positions stay until the tail is committed"
    assert third.tail(lab.tp).void == 2
    assert third.tail(lab.tp).there == {2: {lab.sends: {b"d"}}}


async def test_c13_a_claim_without_metadata_outranks_a_predecessor_whose_clock_ran_ahead(lab: Lab) -> None:
    lab.clock.jump_wall(3600)
    old, first = await lab.take_over(Committed(0, ""))
    await lab.write(old, lab.planned, *[b"0"] * 1500)
    lab.clock.jump_wall(-3600)
    new, claimed = await lab.take_over(Committed(1, ""))  # an operator has set the offset
    await lab.write(new, lab.sends, b"1:a")
    await lab.write(old, lab.sends, b"0:late")
    assert await lab.counted(lab.sends) == [b"1:a"]
    assert decode(claimed.metadata).epoch == decode(first.metadata).epoch + 1


async def test_a_first_owner_finds_no_predecessor_where_nobody_wrote(lab: Lab) -> None:
    """It asks all the same: a group whose offsets were deleted looks like a first owner's."""
    first, _ = await lab.take_over(Committed(None, ""))
    assert (first.counters["tail_records"], len(first.tail(lab.tp))) == (0, 0)


async def test_committed_work_is_not_read_again(lab: Lab) -> None:
    old, _ = await lab.take_over(Committed(0, ""))
    old.note(lab.tp, 0, 0)
    await lab.write(old, lab.sends, b"0:a")
    await lab.write(old, lab.planned, b"0")
    new, _ = await lab.take_over(Committed(1, old.metadata(lab.tp, 1)))
    assert new.counters["tail_records"] == 0
    assert len(new.tail(lab.tp)) == 0


class CopyStage(Stage):
    """Writes `offset:0` for every source record, then states it as planned. Holds back what `hold` names."""

    def __init__(self, handover: Handover, outbox: KafkaOutbox, sends: str, planned: str, hold: set[int]) -> None:
        self.handover, self.outbox, self.sends, self.planned, self.hold = handover, outbox, sends, planned, hold
        self.sent: list[int] = []

    async def assigned(self, committed: dict[TP, Committed]) -> None:
        await self.handover.take_over(self.work, committed)

    def commit_metadata(self, tp: TP, offset: int) -> str:
        return self.handover.metadata(tp, offset)

    async def refresh(self) -> None:
        await self.handover.refresh(self.work)

    async def revoking(self, partitions: set[TP]) -> None:
        """Goes as a killed process does: with what is under way unfinished."""

    async def handle(self, batch: Batch) -> None:
        tp = TP(batch.topic, batch.partition)
        self.handover.note(tp, batch.records[0].offset, batch.records[-1].offset)
        tail = self.handover.tail(tp)
        for record in batch.records:
            if not tail.is_done(record.offset):
                if not tail.take(record.offset):
                    await self._write(tp, self.sends, b"%d:0" % record.offset)
                    self.sent.append(record.offset)
                if record.offset in self.hold:
                    continue
                await self._write(tp, self.planned, b"%d" % record.offset)
            batch.done(record.offset)

    async def _write(self, tp: TP, topic: str, value: bytes) -> None:
        barrier = self.outbox.barrier()
        self.outbox.put(barrier, topic, tp.partition, value, None, self.handover.origin(tp))
        await barrier.wait()


async def test_an_app_that_is_followed_by_another_writes_nothing_twice(
    lab: Lab, unique: Callable[[str], str], tmp_path: Path
) -> None:
    source, group = create_topic(lab.servers, unique("src"), 1), unique("group")
    produce(lab.servers, source, [(0, b"k", b"v")] * 20)

    def app_with(hold: set[int]) -> tuple[faust.App, CopyStage]:
        app = make_app(group, bootstrap_servers=lab.servers, partitions=1, data_dir=tmp_path)
        stage = CopyStage(lab.handover(), lab.outbox, lab.sends, lab.planned, hold)
        add_batch_stage(app, [source], stage, bounds=Bounds())
        return app, stage

    first, one = app_with({7, 11})
    async with running(first):
        await until(lambda: len(one.sent) == 20, "all is sent")
    at = (await committed(lab.servers, group, source, 1))[0]
    assert at[0] == 7
    second, two = app_with(set())
    async with running(second):
        await until(lambda: two.work.states()[0].lag_records == 0, "all is done")
    assert two.sent == []
    assert sorted(map(int, await lab.counted(lab.planned))) == list(range(20))
    assert len(await lab.counted(lab.sends)) == 20
    offset, metadata = (await committed(lab.servers, group, source, 1))[0]
    assert offset == 20
    assert decode(metadata).fenced == decode(metadata).epoch


async def test_a_take_over_that_an_open_transaction_holds_up_says_so_and_goes_on_when_it_ends(
    lab: Lab, unique: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "SILENCE_SECONDS", 2.0)
    source, beside = create_topic(lab.servers, unique("src"), 2), 1
    produce(lab.servers, source, [(0, b"k", b"v"), (beside, b"k", b"v")])
    unsure = await asyncio.to_thread(transactional, lab.servers, unique("t"))
    await asyncio.to_thread(write, unsure, lab.planned, 0, b"a stranger's")
    app = make_app(unique("group"), bootstrap_servers=lab.servers, partitions=2, data_dir=tmp_path)
    stage = CopyStage(lab.handover(), lab.outbox, lab.sends, lab.planned, set())
    add_batch_stage(app, [source], stage, bounds=Bounds())
    stop = asyncio.Event()
    run = asyncio.create_task(run_apps([app], stop=stop))
    place = f"{lab.planned}[0]"
    await until(lambda: place in state(app).held_seconds, "the transaction is found")
    (problem,) = state(app).problems
    assert problem == f"a take-over is held up, and tried again: waits for a transaction on {place}"
    assert any(problem in told for told in readiness([state(app)], boottime_seconds(), 10.0))
    assert stage.sent == []
    await asyncio.to_thread(unsure.abort_transaction)
    await until(lambda: len(stage.sent) == 2, "it goes on")
    assert (state(app).problems, state(app).held_seconds) == ([], {})
    stop.set()
    assert await run == 0


async def test_an_idle_partition_commits_how_far_others_have_written(
    lab: Lab, unique: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commits, "REFRESH_SECONDS", 0.2)
    source, group = create_topic(lab.servers, unique("src"), 1), unique("group")
    app = make_app(group, bootstrap_servers=lab.servers, partitions=1, data_dir=tmp_path)
    add_batch_stage(
        app, [source], CopyStage(lab.handover(), lab.outbox, lab.sends, lab.planned, set()), bounds=Bounds()
    )
    async with running(app):
        await asyncio.to_thread(produce, lab.servers, lab.sends, [(0, None, b"others")] * 7)

        async def position() -> int:
            at = (await committed(lab.servers, group, source, 1))[0]
            return decode(at[1]).positions[lab.sends] if at[1] else -1

        async with asyncio.timeout(20):
            while await position() < 8:  # the fence and theirs
                await asyncio.sleep(0.1)
        assert await position() == 8
