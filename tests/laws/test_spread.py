"""SPREAD through crashes and zombies: every broadcast once in every partition, in one order, with one audience.

Random worlds with the real stage and the real hand-over on a twin of Kafka. Segments are edited all the time; an order
that is frozen in one partition must be the same in every other. Some broadcasts go in steps, and whether a step begins
is judged differently by whoever is asked: one decision must hold everywhere. With a rule off a violation must turn up.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, cast

import pytest

from pushcast.config.settings import Settings
from pushcast.handover.fences import Fences, author_of
from pushcast.handover.reading import Span, Spot
from pushcast.model.clock import ManualClock
from pushcast.spread.agent import SpreadStage
from pushcast.spread.books import SpreadBooks
from pushcast.spread.exact import SpreadHandover
from pushcast.spread.register import Register
from pushcast.spread.steps import StepTally
from pushcast.stream.batch import TP, Batch, Committed
from pushcast.stream.tracker import Record, Tracker
from pushcast.wire import topics
from pushcast.wire.control.control import Kind, Name, SegmentRecord, encode
from pushcast.wire.control.control_state import ControlState
from pushcast.wire.events.orders import STEPS_SUFFIX, Order, decode_order, steps_of
from twins.kafka import OPEN, ManualTimers, Produced, TwinOutbox, record, settled

INTAKE, WALK = topics.broadcast("bulk"), topics.walk("bulk")  # type: ignore[arg-type]
SOURCE = TP(INTAKE, 0)
LOG = "cluster/topic"
T0 = 1_790_000_000_000
AT = {"deliver_at": T0 + 1_500}
STEPS = [{"share": 100}, {"share": 5_000}, {"share": 10_000}]
PARTITIONS = 3
WORLDS = 150
MOST_WORLDS_TO_A_VIOLATION = 600


class Message(NamedTuple):
    produced: Produced
    at: int

    def offset(self) -> int:
        return self.at

    def value(self) -> bytes | None:
        return self.produced.value

    def headers(self) -> list[tuple[str, bytes | None]]:
        return list(self.produced.headers)


class World:
    """What Kafka holds. `ids` of the events repeat now and then; all of them name a segment that is edited."""

    def __init__(self, seed: int) -> None:
        self.rnd = random.Random(seed)
        self.log: list[Produced] = []
        self.committed = Committed(None, "")
        self.owner: Spreader | None = None
        self.ids = [f"b-{self.rnd.randint(1, 4)}" for _ in range(self.rnd.randint(2, 6))]
        self.counts = [self.rnd.random() < 0.2 for _ in self.ids]
        self.parts = [self.rnd.choice(({}, {"steps": STEPS}, AT)) for _ in self.ids]
        self.edits = 0
        self.clock = ManualClock(T0)

    def records(self, start: int) -> list[Record]:
        found = []
        for at in range(start, len(self.ids)):
            event = {"id": self.ids[at], "app": "news", "title": "x", "audience": {"segment": "s"}}
            value = json.dumps({**event, **self.parts[at], "count_only": self.counts[at]}).encode()
            found.append(record(INTAKE, 0, at, self.ids[at].encode(), value, timestamp=T0 + at))
        return found

    def partition(self, number: int) -> list[Message]:
        mine = (each for each in self.log if (each.topic, each.partition) == (WALK, number))
        return [Message(each, at) for at, each in enumerate(mine)]

    def valid(self, number: int, *, void: bool) -> list[Order]:
        """What a planner takes: not void, and above every order of its log before."""
        fences, found = Fences(), []
        high: dict[str, int] = {}
        for message in self.partition(number):
            author = author_of(message.headers())
            counts = fences.admit(author, message.at) or not (void or author is None or author.fence)
            value = message.value()
            if value is None or not counts:
                continue
            order = decode_order(value)
            if order.intake_offset > high.get(order.intake_id, -1):
                high[order.intake_id] = order.intake_offset
                found.append(order)
        return found

    async def ends(self, spots: Iterable[Spot]) -> dict[Spot, int]:
        return {spot: len(self.partition(spot[1])) for spot in spots}

    async def read(self, spans: Mapping[Spot, Span], on_record: Callable[[Any], None]) -> None:
        for (_, number), (first, end) in spans.items():
            for message in self.partition(number)[first:end]:
                on_record(message)


class Whims(SpreadBooks):
    """Judges at random, and another time differently."""

    def __init__(self, world: World) -> None:
        self.rnd = world.rnd

    async def judged(self, lane: str, order: Order) -> tuple[bool | None, StepTally]:
        return self.rnd.choice((True, True, False, None)), StepTally(lane, order, PARTITIONS)

    def forget(self, lane: str, order: Order) -> None:
        pass


class Spreader(TwinOutbox):
    """One process."""

    def __init__(self, world: World, kind: type[SpreadStage]) -> None:
        super().__init__(log=world.log)
        self.world = world
        self.control = ControlState()
        self.edit()
        for each in world.log:
            if each.topic == topics.CONTROL and world.rnd.random() < 0.8:
                self.control.apply(each.key, each.value)
        self.refreshing: asyncio.Task[None] | None = None
        settings = Settings.model_validate({"apps": {"news": {}}, "kafka": {"partitions": PARTITIONS}})

        async def log_ids(topic: str) -> str:
            return LOG

        walk_topics = {INTAKE: WALK}
        handover = SpreadHandover(
            walk_topics,
            PARTITIONS,
            outbox=cast(Any, self),
            reader=cast(Any, world),
            clock=world.clock,
            log_ids=log_ids,
        )

        def fatal(what: str, error: BaseException) -> None:
            raise AssertionError(what) from error

        self.stage = kind(
            settings,
            walk_topics,
            outbox=cast(Any, self),
            clock=world.clock,
            handover=handover,
            control=self.control,
            counters=Counter(),
            books=Whims(world),
            fatal=fatal,
            call_later=ManualTimers(world.clock.monotonic_seconds),  # refreshes come often enough
        )
        self.stage.work = cast(Any, self)
        self.tracker: Tracker | None = None
        self.task = asyncio.create_task(self.run())

    def edit(self) -> None:
        self.world.edits += 1
        where = {"topic": f"t-{self.world.edits}"}
        self.control.apply(Name(Kind.SEGMENT, "s").key(), encode(SegmentRecord(where)))

    async def run(self) -> None:
        while True:
            try:
                await self.stage.assigned({SOURCE: self.world.committed})
                break
            except TimeoutError:
                await asyncio.sleep(0)
        start = self.world.committed.offset or 0
        self.tracker = Tracker(start, OPEN)
        records = self.world.records(start)
        if records:
            segment = self.tracker.hand_over(records, self.tracker.arrive(records))
            await self.stage.handle(Batch(SOURCE, self.tracker, segment, lambda: None))

    async def commit_now(self, partitions: Iterable[TP]) -> bool:
        return self.commit(self.world.committed.offset or 0)

    def commit(self, offset: int) -> bool:
        if self.world.owner is not self:
            return False
        self.world.committed = Committed(offset, self.stage.commit_metadata(SOURCE, offset))
        return True

    def land(self) -> None:
        """One write reaches Kafka; writes to one partition in order."""
        if self.pending:
            spots = sorted({(produced.topic, produced.partition) for _, produced in self.pending})
            spot = self.world.rnd.choice(spots)
            landed = (at for at, (_, each) in enumerate(self.pending) if (each.topic, each.partition) == spot)
            self.acknowledge(next(landed))

    def partitions(self) -> list[TP]:
        return [SOURCE]

    def refresh(self) -> None:
        """As the transport: one at a time, beside the batches."""
        if self.refreshing is None or self.refreshing.done():
            self.refreshing = asyncio.create_task(self.stage.refresh())

    def kill(self) -> None:
        self.task.cancel()
        if self.refreshing is not None:
            self.refreshing.cancel()

    def tick(self) -> None:
        self.edit()
        self.refresh()
        if self.tracker is not None and self.world.rnd.random() < 0.5:
            self.commit(self.tracker.low)


async def world_of(seed: int, kind: type[SpreadStage], *, void: bool) -> str | None:
    world = World(seed)
    rnd = world.rnd
    spreaders: list[Spreader] = []

    def take_over() -> None:
        world.clock.advance(rnd.choice((0, 0, 1)))
        spreaders.append(Spreader(world, kind))
        world.owner = spreaders[-1]

    take_over()
    for _ in range(rnd.randint(20, 120)):
        dice, current = rnd.random(), spreaders[-1]
        if dice < 0.03:
            take_over()  # the former owner lives on
        elif dice < 0.07:
            current.kill()
            del current.pending[rnd.randint(0, len(current.pending)) :]
            current.nobody_waits()
            take_over()
        elif dice < 0.2:
            current.tick()
        else:
            rnd.choice(spreaders[-3:]).land()
        await settled()
    take_over()
    last = spreaders[-1]
    for _ in range(5_000):
        last.land()
        world.clock.advance(60)
        last.refresh()
        rnd.choice(spreaders).land()
        await settled()
        if (
            last.tracker is not None
            and last.tracker.low == len(world.ids)
            and SOURCE in last.stage._stepping._resumed
            and not last.stage._handover.register(SOURCE).unfinished()
            and not any(each.pending for each in spreaders)
        ):
            break
    else:
        return "no progress"
    for each in spreaders:
        each.kill()
    tasks = [task for each in spreaders for task in (each.task, each.refreshing) if task is not None]
    await asyncio.gather(*tasks, return_exceptions=True)
    return judged(world, void=void)


def judged(world: World, *, void: bool) -> str | None:
    every = world.valid(0, void=void)
    first = [order for order in every if order.intake_id == LOG]
    if [order.intake_offset for order in first] != list(range(len(world.ids))):
        return f"partition 0 has {[order.intake_offset for order in first]}"
    for number in range(1, PARTITIONS):
        found = world.valid(number, void=void)
        for log in (LOG, LOG + STEPS_SUFFIX):
            if [each for each in found if each.intake_id == log] != [each for each in every if each.intake_id == log]:
                return f"partition {number} has other orders of {log} than partition 0"
    seen: set[str] = set()
    for order in first:
        waits = "scheduled" if steps_of(order).instants else ""
        expected = "duplicate" if order.broadcast in seen and not order.count_only else waits
        if order.reason != expected:
            return f"order {order.intake_offset} has the reason {order.reason!r}, not {expected!r}"
        if not order.count_only and expected != "duplicate":
            seen.add(order.broadcast)
            mine = [each for each in every if each.intake_id != LOG and each.broadcast == order.broadcast]
            if fault := steps_fault(mine, steps_of(order).count):
                return f"{order.broadcast}: {fault}"
    return None


def steps_fault(later: list[Order], steps: int) -> str | None:
    """Every step once, in their order, up to the last one or one that plans nothing."""
    numbers = [steps_of(each).step for each in later]
    if numbers != list(range(1, len(numbers) + 1)) or len(numbers) >= steps:
        return f"has the steps {numbers} of {steps}"
    if any(each.reason for each in later[:-1]):
        return "goes on behind a step that ends it"
    if len(numbers) < steps - 1 and not (later and later[-1].reason):
        return f"ends behind step {numbers} of {steps}"
    return None


def violation(seed: int, kind: type[SpreadStage] = SpreadStage, *, void: bool = True) -> str | None:
    return asyncio.run(world_of(seed, kind, void=void))


class AllAtOnce(SpreadStage):
    """Partition 0 is not awaited."""

    async def _write(self, tp: TP, value: bytes, rounds: tuple[range, ...]) -> None:
        barrier = self._outbox.barrier()
        for partition in reversed(range(PARTITIONS)):
            self._outbox.put(barrier, WALK, partition, value, None, list(self._handover.origin(tp)))
        await barrier.wait()


class Forgetful(SpreadStage):
    """What a predecessor froze is frozen anew."""

    async def _order(self, source: Record) -> bytes:
        self._handover._registers[SOURCE] = Register(LOG)
        return await super()._order(source)


async def killed_after(orders: int) -> World:
    """SPREAD is killed after so many orders of one broadcast, and another process takes over."""
    world = World(0)
    world.ids, world.counts, world.parts = ["b-1"], [False], [{}]
    first = world.owner = Spreader(world, SpreadStage)
    while sum(each.value is not None for each in world.log) < orders:
        await settled()
        if first.pending:
            first.acknowledge()
    first.kill()
    first.pending.clear()
    first.nobody_waits()
    world.clock.advance(1)
    last = world.owner = Spreader(world, SpreadStage)
    while last.tracker is None or last.tracker.low < 1 or last.pending:
        await settled()
        if last.pending:
            last.acknowledge()
    for each in (first, last):
        each.kill()
    return world


@pytest.mark.parametrize("orders", range(1, 8))
def test_fact_16_a_spread_that_is_killed_after_some_orders_leaves_each_partition_one(
    monkeypatch: pytest.MonkeyPatch, orders: int
) -> None:
    monkeypatch.setattr(sys.modules[__name__], "PARTITIONS", 8)
    world = asyncio.run(killed_after(orders))
    for number in range(8):
        assert [order.broadcast for order in world.valid(number, void=True)] == ["b-1"]


def test_every_partition_has_every_broadcast_once_with_one_audience() -> None:
    for seed in range(WORLDS):
        assert violation(seed) is None, f"seed {seed}"


def test_a_register_that_is_fenced_first_misses_what_counts_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pushcast.spread.exact.fence_rounds", lambda partitions: (range(1), range(1, partitions)))
    assert any(violation(seed) for seed in range(MOST_WORLDS_TO_A_VIOLATION))


class Unresumed(SpreadStage):
    """A step that a predecessor has begun to write is not written to the end."""

    async def assigned(self, committed: dict[TP, Committed]) -> None:
        await super().assigned(committed)
        self._stepping._resumed.update(committed)


@pytest.mark.parametrize("kind", [AllAtOnce, Forgetful, Unresumed])
def test_without_the_rule_partitions_differ(kind: type[SpreadStage]) -> None:
    assert any(violation(seed, kind) for seed in range(MOST_WORLDS_TO_A_VIOLATION))


def test_a_planner_that_ignores_fences_walks_what_a_zombie_spread() -> None:
    assert any(violation(seed, void=False) for seed in range(MOST_WORLDS_TO_A_VIOLATION))
