"""PLAN itself through crashes and zombies: every notification is planned once, and its planned record counts what is
there, whatever devices come and go meanwhile.

The worlds of tests/laws/test_handover.py, with the real stage and the real hand-over on a twin of Kafka.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Iterable
from functools import partial
from typing import Any, cast

import pytest

from pushcast.config.classes import Class
from pushcast.config.settings import Kafka, Settings
from pushcast.config.stages import Plan
from pushcast.handover import runner
from pushcast.handover.rules import Rules
from pushcast.handover.runner import Handover
from pushcast.handover.state import Takeover
from pushcast.model.clock import ManualClock
from pushcast.model.device import DeviceRow
from pushcast.model.ids import device_row_key, token_hash
from pushcast.model.words import Lane
from pushcast.plan.agent import PlanStage
from pushcast.plan.exact import build_handover
from pushcast.stream.batch import TP, Batch, Committed
from pushcast.stream.tracker import Tracker
from pushcast.wire import topics
from pushcast.wire.answers.receipts import decode_planned, decode_receipt
from pushcast.wire.devices.devices import encode_row
from pushcast.wire.sending.batches import decode_batch
from twins.handover import Log, Process
from twins.kafka import OPEN, ManualTimers, TwinTable, record, settled
from twins.plan import PARTITIONS, T0, users_of

PARTITION = 3
SOURCE = TP(topics.notification(Lane.NORMAL), PARTITION)
USERS = users_of(PARTITION, 4)
DEVICES = [(user, f"d{number}", platform) for user in USERS for number, platform in enumerate(("apns", "fcm"))]
WORLDS = 60
MOST_WORLDS_TO_A_VIOLATION = 1000


class Table(TwinTable):
    def held(self, partition: int) -> bool:
        return partition == PARTITION


class World(Log):
    def __init__(self, seed: int) -> None:
        super().__init__(PARTITION)
        self.rnd = rnd = random.Random(seed)
        self.table = Table()
        self.clock = ManualClock(T0)
        self.committed = Committed(None, "")
        self.settings = Settings(
            kafka=Kafka(partitions=PARTITIONS),
            plan=Plan(window_seed=seed, lookup_again_seconds=0, max_targets=3),
            classes={"default": Class(window_seconds=0), "chat": Class(window_seconds=0.05)},
            apps=cast(Any, {"news": {}}),
        )
        self.source = [
            record(
                SOURCE.topic,
                PARTITION,
                offset,
                rnd.choice(USERS).encode(),
                json.dumps({"id": f"n-{offset}", "title": "t", "class": rnd.choice(("default", "chat"))}).encode(),
                (),
                T0,
            )
            for offset in range(rnd.randint(3, 10))
        ]
        for device in rnd.sample(DEVICES, 4):
            self.churn(device)
        self.planners: list[Planner] = []

    def churn(self, device: tuple[str, str, str]) -> None:
        """The device comes or goes."""
        user, name, platform = device
        key, address = device_row_key(user, "news", name), f"{user}/{name}".encode()
        rows = self.table.rows[PARTITION]
        if rows.pop(key, None) is None:
            row = DeviceRow("news", name, platform, "token", address, "", token_hash(address), "active", T0, T0)
            rows[key] = encode_row(row)

    async def take_over(self) -> Planner:
        planner = Planner(self)
        self.planners.append(planner)
        await planner.start()
        return planner


class Planner:
    def __init__(self, world: World) -> None:
        self.world = world
        self.timers = ManualTimers(world.clock.monotonic_seconds)
        self.outbox = Process(world)
        self.fatal: list[BaseException] = []
        handover: Handover = build_handover(world.settings, Lane.NORMAL, cast(Any, self.outbox), world.clock)
        handover._reader = cast(Any, world)
        self.stage = PlanStage(
            world.settings,
            Lane.NORMAL,
            cast(Any, world.table),
            cast(Any, self.outbox),
            world.clock,
            exact=handover,
            fatal=lambda _, error: self.fatal.append(error),
            counters=Counter(),
            call_later=self.timers,
        )
        self.stage.work = cast(Any, self)
        self.tracker = Tracker(world.committed.offset or 0, OPEN)

    async def commit_now(self, partitions: Iterable[TP]) -> bool:
        assert list(partitions) == [SOURCE]
        if self.world.planners[-1] is not self:
            return False
        low = self.tracker.low
        self.world.committed = Committed(low, self.stage.commit_metadata(SOURCE, low))
        return True

    async def start(self) -> None:
        assigned = asyncio.create_task(self.stage.assigned({SOURCE: self.world.committed}))
        await settled()
        while not assigned.done():
            for planner in self.world.planners[-3:]:
                planner.outbox.land(self.world.rnd)
            await settled()
        await assigned

    async def feed(self, count: int) -> None:
        records = self.world.source[self.tracker.next_offset :][:count]
        if records:
            segment = self.tracker.hand_over(records, self.tracker.arrive(records))
            await self.stage.handle(Batch(SOURCE, self.tracker, segment, lambda: None))

    async def pass_time(self) -> None:
        self.timers.fire()
        await settled()
        assert not self.fatal, self.fatal


async def run(seed: int) -> None:
    world = World(seed)
    rnd = world.rnd
    current = await world.take_over()
    for _ in range(rnd.randint(20, 120)):
        dice = rnd.random()
        if dice < 0.03:
            current = await world.take_over()
        elif dice < 0.06:
            current.outbox.die(rnd)
            current = await world.take_over()
        elif dice < 0.12:
            world.churn(rnd.choice(DEVICES))
        elif dice < 0.35:
            await current.feed(rnd.randint(1, 3))
        elif dice < 0.5:
            world.clock.advance(0.03)
            for planner in world.planners[-2:]:
                await planner.pass_time()
        elif dice < 0.6:
            await current.commit_now([SOURCE])
        else:
            rnd.choice(world.planners[-3:]).outbox.land(rnd)
            await settled()
    last = await world.take_over()
    for _ in range(200):
        await last.feed(len(world.source))
        world.clock.advance(1.0)
        await last.pass_time()
        await last.outbox.acknowledge_all()
        await last.commit_now([SOURCE])
        if world.committed.offset == len(world.source):
            break
    assert world.committed.offset == len(world.source), "no progress"
    for planner in world.planners:
        await planner.outbox.acknowledge_all()
    judge(world)


def values(world: World, topic: str) -> list[bytes]:
    return [message.value() or b"" for message in world.valid(topic)]


def judge(world: World) -> None:
    deliveries: dict[int, list[bytes]] = {}
    for platform in ("apns", "fcm"):
        for value in values(world, topics.send(cast(Any, platform), Lane.NORMAL)):
            for message in decode_batch(value).messages:
                for offset, delivery in zip(message.targets.source_offset, message.targets.delivery_id, strict=True):
                    deliveries.setdefault(offset, []).append(delivery)
    for value in values(world, topics.RECEIPT):
        receipt = decode_receipt(value)
        deliveries.setdefault(receipt["source_offset"], []).append(bytes.fromhex(receipt["delivery_id"]))
    planned: dict[int, list[int]] = {}
    for value in values(world, topics.PLANNED):
        for offset, _, total, _ in decode_planned(value).rows():
            planned.setdefault(offset, []).append(total)
    for offset in range(len(world.source)):
        found = deliveries.get(offset, [])
        assert len(found) == len(set(found)), f"offset {offset} is planned twice"
        assert planned.get(offset) == [len(found)], f"offset {offset}: stated {planned.get(offset)}, there {len(found)}"


async def violation(seeds: Iterable[int]) -> str | None:
    """What went wrong in the first world where something did."""
    for seed in seeds:
        try:
            await run(seed)
        except AssertionError as error:
            return f"seed {seed}: {error}"
    return None


async def test_every_notification_is_planned_once_through_crashes_and_zombies() -> None:
    assert await violation(range(WORLDS)) is None


@pytest.mark.parametrize("rule", ["tail", "note", "inherit"])
async def test_without_the_rule_some_are_not(rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "Takeover", partial(Takeover, rules=Rules(**{rule: False})))
    assert await violation(range(MOST_WORLDS_TO_A_VIOLATION)) is not None
