"""SETTLE through crashes and zombies: every delivery that waited on a rung, or was parked, goes on or ends once.

The worlds of tests/laws/test_handover.py, with the real stage and the real hand-over on a twin of Kafka. Both sources
at once: a rung, whose records are due by and by, and the parked topic, which settlers write to as well.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Iterable
from functools import partial
from typing import Any, cast

import pytest

from pushcast.config.settings import Settings
from pushcast.handover import runner
from pushcast.handover.rules import Rules
from pushcast.handover.state import Takeover
from pushcast.model.clock import ManualClock
from pushcast.model.words import Lane, Platform
from pushcast.settle.agent import SettleStage
from pushcast.settle.exact import build_handover
from pushcast.settle.passes import Intervals
from pushcast.stream.batch import TP, Batch, Committed
from pushcast.stream.tracker import Record, Tracker
from pushcast.wire import topics
from pushcast.wire.answers.receipts import decode_receipt
from pushcast.wire.control import control
from pushcast.wire.control.control import Kind, Pause, Subject
from pushcast.wire.control.control_state import ControlState
from pushcast.wire.sending.batches import decode_batch
from pushcast.wire.sending.parked import Why, parked_record
from pushcast.wire.sending.retries import retry_record
from twins.handover import Log, Process
from twins.kafka import OPEN, ManualTimers, Produced, record, settled
from unit.send.twin import T0, message

PARTITION = 3
RUNG, PARKED = topics.retry("10s"), topics.PARKED
SOURCES = (TP(RUNG, PARTITION), TP(PARKED, PARTITION))
APPS = ("news", "shop")
SENDS = ((Platform.APNS, Lane.URGENT), (Platform.FCM, Lane.BULK))
WORLDS = 60
MOST_WORLDS_TO_A_VIOLATION = 600


class World(Log):
    """Waiting deliveries, and the settlers that pass them on, one after the other."""

    def __init__(self, seed: int) -> None:
        super().__init__(PARTITION)
        self.rnd = random.Random(seed)
        self.clock = ManualClock(T0)
        self.committed = {tp: Committed(None, "") for tp in SOURCES}
        self.settings = Settings()
        self.pauses: set[str] = {app for app in APPS if self.rnd.random() < 0.5}
        self.deliveries: set[bytes] = set()
        for number in range(self.rnd.randint(2, 6)):
            self.wait(number)
            self.park(number)
        self.settlers: list[Settler] = []

    def _messages(self, name: str, app: str) -> list[Any]:
        parts = [
            message(
                self.rnd.randint(1, 2),
                app=app,
                name=f"{name}/{part}",
                expires_at=T0 + self.rnd.choice((2_000, 9_000, 10**9, 10**9)),
            )
            for part in range(self.rnd.randint(1, 2))
        ]
        self.deliveries.update(each for part in parts for each in part.targets.delivery_id)
        return parts

    def _what(self) -> dict[str, Any]:
        platform, lane = self.rnd.choice(SENDS)
        return {
            "platform": platform,
            "lane": lane,
            "run": 0,
            "first_seen_at": T0,
            "rounds_made": 1,
            "doubtful": False,
            "sent_from": "pushcast-send-apns-urgent|7",
        }

    def wait(self, number: int) -> None:
        """A sender lets a failed delivery wait."""
        value, headers = retry_record(
            messages=self._messages(f"retry-{number}", "news"),
            due_at=T0 + self.rnd.choice((0, 1_000, 5_000)),
            **self._what(),
        )
        self.log.append(Produced(RUNG, PARTITION, value, None, headers, T0))

    def park(self, number: int) -> None:
        """A sender parks a delivery."""
        app = self.rnd.choice(APPS)
        value, headers = parked_record(
            app=app, messages=self._messages(f"parked-{number}", app), why=Why.PAUSED, **self._what()
        )
        self.log.append(Produced(PARKED, PARTITION, value, None, headers, T0))

    def toggle(self, app: str) -> None:
        """An operator pauses or resumes; every living process hears of it."""
        self.pauses ^= {app}
        for settler in self.settlers:
            settler.hear(app, paused=app in self.pauses)

    def records(self, tp: TP, start: int) -> list[Record]:
        return [
            record(tp.topic, PARTITION, each.at, None, each.value(), each.headers(), T0)
            for each in self.messages(tp.topic)[start:]
        ]

    async def take_over(self) -> Settler:
        settler = Settler(self)
        self.settlers.append(settler)
        await settler.start()
        return settler


class Settler:
    """One process. Its wall clock is its own, and may be wrong."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.clock = ManualClock(world.clock.now_ms() + world.rnd.choice((-3_000, 0, 0, 3_000)))
        self.timers = ManualTimers(self.clock.monotonic_seconds)
        self.outbox = Process(world)
        self.fatal: list[tuple[str, BaseException]] = []
        self.control = ControlState()
        for app in world.pauses:
            self.hear(app, paused=True)
        self.control.live = True
        handover = build_handover(world.settings, cast(Any, self.outbox), self.clock)
        handover._reader = cast(Any, world)
        self.stage = SettleStage(
            outbox=cast(Any, self.outbox),
            clock=self.clock,
            longest_seconds=100.0,
            counters=Counter(),
            fatal=lambda what, error: self.fatal.append((what, error)),
            call_later=self.timers,
            exact=handover,
            control=self.control,
            intervals=Intervals(pass_seconds=4.0, probe_seconds=2.0),
        )
        self.stage.work = cast(Any, self)
        self.trackers = {tp: Tracker(at.offset or 0, OPEN) for tp, at in world.committed.items()}
        self.alive = True

    def hear(self, app: str, *, paused: bool) -> None:
        for platform, _ in SENDS:
            key = Subject(Kind.PAUSE, app, platform).key()
            self.control.apply(key, control.encode(Pause(1)) if paused else None)

    def partitions(self) -> list[TP]:
        return list(self.trackers)

    async def ends(self, partitions: Iterable[TP]) -> dict[TP, int]:
        return {tp: self.world.end(tp.topic) for tp in partitions}

    async def commit_now(self, partitions: Iterable[TP]) -> bool:
        if self.world.settlers[-1] is not self:
            return False
        for tp in partitions:
            low = self.trackers[tp].low
            self.world.committed[tp] = Committed(low, self.stage.commit_metadata(tp, low))
        return True

    async def start(self) -> None:
        assigned = asyncio.create_task(self.stage.assigned(dict(self.world.committed)))
        await settled()
        while not assigned.done():
            for settler in self.world.settlers[-3:]:
                settler.outbox.land(self.world.rnd)
            await settled()
        await assigned

    async def feed(self, count: int) -> None:
        for tp, tracker in self.trackers.items():
            records = self.world.records(tp, tracker.next_offset)[:count]
            if records:
                segment = tracker.hand_over(records, tracker.arrive(records))
                await self.stage.handle(Batch(tp, tracker, segment, lambda: None))
        await self.let_run()

    async def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.timers.fire()
        await self.let_run()

    async def let_run(self) -> None:
        for _ in range(4):
            await settled()
        assert not self.fatal, self.fatal

    def die(self) -> None:
        self.alive = False
        self.outbox.die(self.world.rnd)
        for tracker in self.trackers.values():
            tracker.lost = True


async def run(seed: int, *, void: bool = True) -> None:
    world = World(seed)
    rnd = world.rnd
    current = await world.take_over()
    for _ in range(rnd.randint(20, 100)):
        dice = rnd.random()
        if dice < 0.04:
            current = await world.take_over()  # the former owner lives on
        elif dice < 0.08:
            current.die()
            current = await world.take_over()
        elif dice < 0.14:
            world.toggle(rnd.choice(APPS))
        elif dice < 0.3:
            await current.feed(rnd.randint(1, 3))
        elif dice < 0.45:
            seconds = rnd.choice((0.5, 1.0, 4.0))
            world.clock.advance(seconds)
            for settler in world.settlers[-2:]:
                if settler.alive:
                    await settler.pass_time(seconds)
        elif dice < 0.5:
            await rnd.choice(world.settlers[-2:]).stage.refresh()
        elif dice < 0.6:
            await current.commit_now([rnd.choice(SOURCES)])
        else:
            rnd.choice(world.settlers[-3:]).outbox.land(rnd)
            await current.let_run()
    for app in sorted(world.pauses):
        world.toggle(app)
    last = await world.take_over()
    for settler in world.settlers:
        await settler.outbox.acknowledge_all()
    for _ in range(100):
        await last.feed(1000)
        await last.pass_time(4.0)
        await last.outbox.acknowledge_all()
        await last.commit_now(SOURCES)
        if all(world.committed[tp].offset == world.end(tp.topic) for tp in SOURCES):
            break
    else:
        raise AssertionError("no progress")
    judge(world, void=void)


def judge(world: World, *, void: bool) -> None:
    found: Counter[bytes] = Counter()
    for platform, lane in SENDS:
        for sent in world.valid(topics.send(platform, lane), void=void):
            for part in decode_batch(sent.value() or b"").messages:
                found.update(part.targets.delivery_id)
    for ended in world.valid(topics.RECEIPT, void=void):
        found[bytes.fromhex(decode_receipt(ended.value() or b"")["delivery_id"])] += 1
    assert found.keys() == world.deliveries, f"{len(world.deliveries - found.keys())} deliveries are lost"
    twice = [each.hex() for each, count in found.items() if count > 1]
    assert not twice, f"passed on or ended twice: {twice}"


async def violation(seeds: Iterable[int], *, void: bool = True) -> str | None:
    """What went wrong in the first world where something did."""
    for seed in seeds:
        try:
            await run(seed, void=void)
        except AssertionError as error:
            return f"seed {seed}: {error}"
    return None


async def test_every_delivery_goes_on_or_ends_once_through_crashes_and_zombies() -> None:
    assert await violation(range(WORLDS)) is None


@pytest.mark.parametrize("rule", ["tail", "note", "inherit", "fenced_at"])
async def test_without_the_rule_some_do_not(rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "Takeover", partial(Takeover, rules=Rules(**{rule: False})))
    assert await violation(range(MOST_WORLDS_TO_A_VIOLATION)) is not None


async def test_a_reader_that_ignores_fences_sees_doubles() -> None:
    assert await violation(range(MOST_WORLDS_TO_A_VIOLATION), void=False) is not None


async def test_a_pass_that_a_killed_settler_had_begun_is_committed_without_waiting_for_the_next() -> None:
    world = World(5)
    world.pauses.update(APPS)
    first = await world.take_over()
    parked = world.end(PARKED)
    await first.feed(1000)
    await first.pass_time(4.0)
    await first.outbox.acknowledge_all()
    carried = world.end(PARKED) - parked
    assert carried > 0
    first.die()

    second = await world.take_over()
    await second.feed(1000)
    await second.commit_now(SOURCES)
    assert world.committed[SOURCES[1]].offset == parked
    assert world.end(PARKED) == parked + carried + len(SOURCES), "fences are all that came"
