"""WALK as it runs, through crashes and zombies: the worlds of tests/laws/test_walk.py with the real stage.

The devices come and go while they are walked; several orders, one of which is stopped now and then. What counts on the
send topics must be in the legs, and every device that was there all the time gets every broadcast once.

Some classes are held in quiet hours, which begin and end while they are walked, or by a cap. What goes to the keeper
counts as what is sent (rulings II.8), and of one user and order there is one record: the keeper takes no second one.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, cast

import pytest

from pushcast.config.settings import Settings
from pushcast.handover.rules import ALL, Rules
from pushcast.model.broadcast import NotTo
from pushcast.model.clock import ManualClock
from pushcast.model.device import DeviceRow
from pushcast.model.ids import broadcast_delivery_id, device_row_key
from pushcast.model.quiet import DAYS
from pushcast.model.words import Lane, Platform
from pushcast.stream.batch import TP, Batch, Committed
from pushcast.stream.tracker import Record, Tracker
from pushcast.walk import exact
from pushcast.walk.agent import WalkStage
from pushcast.walk.ahead import KEEPER
from pushcast.walk.exact import build_handover
from pushcast.walk.holding import OrderGates
from pushcast.wire import headers as h
from pushcast.wire import topics
from pushcast.wire.answers.legs import decode_leg
from pushcast.wire.control.control import Halt, Kind, Name, encode
from pushcast.wire.control.control_state import ControlState
from pushcast.wire.devices.devices import encode_row
from pushcast.wire.events.orders import Order, encode_order
from pushcast.wire.sending.batches import decode_batch
from pushcast.wire.waiting.held_broadcasts import decode_held
from twins.handover import Log, Process
from twins.kafka import OPEN, ManualTimers, Produced, TwinTable, record, settled

PARTITION, LANE = 3, Lane.BULK
SOURCE = TP(topics.walk(LANE), PARTITION)
KEEP = topics.keep(LANE)
SENDS = tuple(topics.send(platform, LANE) for platform in Platform)
#: Ten seconds before 22:00 in Tokyo, and before 07:00 in Costa Rica.
T0 = 1_789_995_590_000
ZONES = ("Asia/Tokyo", "America/Costa_Rica", "UTC")
WORLDS = 60
MOST_WORLDS_TO_A_VIOLATION = 600
NIGHT = [{"days": list(DAYS), "from": "22:00", "to": "07:00"}]
SETTINGS = Settings.model_validate(
    {
        "apps": {"news": {"quiet_hours": NIGHT}},
        "plan": {"max_targets": 3},
        "keep": {"quiet_release_spread_seconds": 0},
        "broadcast": {"leg_targets": 100, "slice_rows": 16},
        "classes": {
            "default": {"quiet": "ignore", "caps": "ignore"},
            "quiet": {"quiet": "hold", "caps": "ignore"},
            "capped": {"quiet": "hold"},
        },
        "caps": [{"name": "few", "classes": ["capped"], "limit": 2, "window_seconds": 60}],
    }
)


def row(user: str, device: int, *, first_at: int = T0 - 1) -> tuple[bytes, bytes]:
    """Every third user has topic `t`."""
    name, platform = f"d-{device}", ("apns", "fcm")[device % 2]
    follows = ("t",) if int(user[2:]) % 3 else ()
    token = f"{user}/{name}".encode()
    value = encode_row(
        DeviceRow(
            *("news", name, platform, "token", token, "", token[:16].ljust(16), "active", T0 - 5, T0 - 5),
            topics=follows,
            first_at=first_at,
            time_zone=ZONES[(int(user[2:]) + device) % 3],
        )
    )
    return device_row_key(user, "news", name), value


class World(Log):
    """The walk topic, the devices and the planners of one partition."""

    def __init__(self, seed: int, *, mixed: bool) -> None:
        """`mixed`: some broadcasts are of classes that the keeper holds."""
        super().__init__(PARTITION)
        self.mixed = mixed
        self.rnd, classes = random.Random(seed), random.Random(-seed - 1)
        self.clock = ManualClock(T0)
        self.committed = Committed(None, "")
        self.table = TwinTable()
        self.stable: set[bytes] = set()
        self.users = self.rnd.randint(3, 40)
        for user in range(self.users):
            for device in range(self.rnd.randint(0, 2)):
                key, value = row(f"u-{user:03}", device)
                self.table.rows[PARTITION][key] = value
                self.stable.add(key)
        self.stopped: set[str] = set()
        self.owner: Planner | None = None
        self.audiences: dict[str, str] = {}
        epoch = h.origin("spread-bulk", 0, 7)
        for number in range(self.rnd.randint(1, 3)):
            name = f"b-{number}"
            self.audiences[name] = self.rnd.choice(('{"all":true}', '{"where":{"topic":"t"}}'))
            klass = classes.choice(("default", "quiet", "capped")) if mixed else "default"
            event = '{"id":"%s","app":"news","class":"%s","title":"x","created_at":%d,"expires_at":%d,"audience":%s}'
            text = event % (name, klass, T0, T0 + 10**8, self.audiences[name])
            order = Order(name, "cluster/topic", number, T0, False, "", text.encode())
            for _ in range(self.rnd.choice((1, 1, 2))):
                self.log.append(Produced(SOURCE.topic, PARTITION, encode_order(order), None, epoch, T0))

    def churn(self) -> None:
        key, value = row(f"u-{self.rnd.randrange(self.users):03}", self.rnd.randrange(2), first_at=T0 + 1)
        self.table.at += 1
        if self.table.rows[PARTITION].pop(key, None) is None:
            self.table.rows[PARTITION][key] = value
        self.stable.discard(key)

    def records(self, start: int) -> list[Record]:
        return [
            record(SOURCE.topic, PARTITION, each.at, None, each.value(), each.headers(), T0)
            for each in self.messages(SOURCE.topic)[start:]
        ]


class Planner(Process):
    """One process."""

    def __init__(self, world: World, rules: Rules) -> None:
        super().__init__(world)
        self.control = ControlState()
        for name in world.stopped:
            self.stop(name)
        self.timers = ManualTimers(world.clock.monotonic_seconds)
        self.fatal: list[tuple[str, BaseException]] = []
        handover = build_handover(SETTINGS, LANE, cast(Any, self), world.clock)
        handover._reader = cast(Any, world)
        if not world.mixed:  # nothing goes to the keeper, and one topic less is fenced
            handover._topics = tuple(topic for topic in handover._topics if topic != KEEP)
        make: Any = handover._make
        handover._make = lambda *args, **options: make(*args, rules, **options)
        self.stage = WalkStage(
            SETTINGS,
            LANE,
            cast(Any, world.table),
            cast(Any, self),
            world.clock,
            handover=handover,
            control=self.control,
            senders=cast(Any, self),
            served=self.served,
            fatal=lambda what, error: self.fatal.append((what, error)),
            counters=defaultdict(int),
            call_later=self.timers,
            sleep=lambda seconds: asyncio.sleep(0),
            cpu_seconds=lambda: 0.0,
        )
        self.stage.work = cast(Any, self)
        self.tracker: Tracker | None = None
        self.task = asyncio.create_task(self.run())

    def stop(self, name: str) -> None:
        self.control.apply(Name(Kind.STOP, name).key(), encode(Halt(since_ms=1)))

    async def run(self) -> None:
        world = cast(World, self.world)
        while True:
            try:
                await self.stage.assigned({SOURCE: world.committed})
                break
            except TimeoutError:
                await asyncio.sleep(0)
        start = world.committed.offset or 0
        self.tracker = Tracker(start, OPEN)
        records = world.records(start)
        if records:
            segment = self.tracker.hand_over(records, self.tracker.arrive(records))
            await self.stage.handle(Batch(SOURCE, self.tracker, segment, lambda: None))

    # `stream.stage.Work`, and where the senders stand

    async def served(self, partition: int, not_to: NotTo) -> frozenset[bytes]:
        return frozenset()

    async def commit_now(self, partitions: Iterable[TP]) -> bool:
        return self.commit(cast(World, self.world).committed.offset or 0)

    def commit(self, offset: int) -> bool:
        world = cast(World, self.world)
        if world.owner is not self:
            return False
        world.committed = Committed(offset, self.stage.commit_metadata(SOURCE, offset))
        return True

    async def committed(self, partitions: list[int]) -> Mapping[int, Mapping[str, int]]:
        return {PARTITION: dict.fromkeys([*map(str, Platform), KEEPER], 10**9)}

    async def ends(self, partitions: Iterable[Any]) -> dict[Any, int]:
        return dict.fromkeys(partitions, 0)

    def waits_beside(self, partition: int) -> bool:
        return False


async def world_of(seed: int, rules: Rules, *, void: bool, mixed: bool) -> str | None:
    world = World(seed, mixed=mixed)
    rnd = world.rnd
    planners: list[Planner] = []

    def take_over() -> None:
        world.clock.advance(rnd.choice((0, 0, 1)))
        planners.append(Planner(world, rules))
        world.owner = planners[-1]

    take_over()
    for _ in range(rnd.randint(30, 200)):
        dice, current = rnd.random(), planners[-1]
        if dice < 0.03:
            take_over()  # the former owner lives on
        elif dice < 0.06:
            current.task.cancel()
            current.stage._tenures.close([SOURCE])
            current.die(rnd)
            current.nobody_waits()
            take_over()
        elif dice < 0.1:
            world.churn()
        elif dice < 0.105 and rnd.random() < 0.5:
            name = rnd.choice(sorted(world.audiences))
            world.stopped.add(name)
            for planner in planners:
                planner.stop(name)
        elif dice < 0.3:
            world.clock.advance(rnd.choice((0.1, 3.0)))
            for planner in planners:
                planner.timers.fire()
            if current.tracker is not None:
                current.commit(current.tracker.low)
        else:
            rnd.choice(planners[-3:]).land(rnd)
        await settled()
    take_over()
    last = planners[-1]
    for _ in range(5_000):
        last.land(rnd)
        rnd.choice(planners).land(rnd)
        world.clock.advance(0.1)
        last.timers.fire()
        await settled()
        if (
            last.tracker is not None
            and last.tracker.low == world.end(SOURCE.topic)
            and not any(p.pending for p in planners)
        ):
            break
    else:
        return "no progress"
    for planner in planners:
        planner.task.cancel()
        planner.stage._tenures.close([SOURCE])
        if planner.fatal:
            raise planner.fatal[0][1]
    await asyncio.gather(*[planner.task for planner in planners], return_exceptions=True)
    return judged(world, void=void)


def judged(world: World, *, void: bool) -> str | None:
    sent: dict[int, list[bytes]] = defaultdict(list)
    for topic in SENDS:
        for each in world.valid(topic, void=void):
            for message in decode_batch(each.value() or b"").messages:
                for offset, delivery in zip(message.targets.source_offset, message.targets.delivery_id, strict=True):
                    sent[offset].append(delivery)
    kept: dict[int, list[str]] = defaultdict(list)
    waiting: Counter[int] = Counter()
    for each in world.valid(KEEP, void=void):
        held = decode_held(each.value() or b"")
        kept[held.walk_offset].append(held.user)
        waiting[held.walk_offset] += len(held.delivery_ids)
        sent[held.walk_offset] += held.delivery_ids
    legs = [decode_leg(each.value() or b"") for each in world.valid(topics.WALKED, void=void)]
    first = {record.value: record.offset for record in reversed(world.records(0))}
    for offset in first.values():
        mine = [leg for leg in legs if leg.source_offset == offset]
        if not any(leg.last for leg in mine):
            return f"order {offset} has no last leg"
        name = mine[0].broadcast
        counted = Counter(sent[offset])
        if any(count > 1 for count in counted.values()):
            return f"order {offset} reaches a device twice"
        users, planned = kept[offset], len(counted) - waiting[offset]
        if len(set(users)) < len(users):
            return f"order {offset} gives the keeper two records of one user, who takes one"
        if sum(leg.held for leg in mine) != len(users):
            return f"order {offset} states {sum(leg.held for leg in mine)} records of the keeper's, it has {len(users)}"
        if sum(leg.planned for leg in mine) != planned:
            return f"order {offset} states {sum(leg.planned for leg in mine)} deliveries, there are {planned}"
        if len({leg.leg for leg in mine}) != len(mine):
            return f"order {offset} has two legs of one number"
        wanted = {key for key in world.stable if "topic" not in world.audiences[name] or int(key[2:5]) % 3}
        expected = {broadcast_delivery_id(name, key) for key in wanted}
        if name not in world.stopped and not expected <= counted.keys():
            return f"order {offset} misses {len(expected - counted.keys())} devices"
    if extra := set(sent) - set(first.values()):
        return f"copies {extra} were walked"
    return None


def violation(seed: int, rules: Rules = ALL, *, void: bool = True, mixed: bool = True) -> str | None:
    return asyncio.run(world_of(seed, rules, void=void, mixed=mixed))


def test_every_device_of_the_audience_gets_every_broadcast_once() -> None:
    for seed in range(WORLDS):
        assert violation(seed) is None, f"seed {seed}"


@pytest.mark.parametrize("rule", ["tail", "note", "restate", "cursor"])
def test_without_the_rule_something_is_lost_or_doubled(rule: str) -> None:
    rules = Rules(**{rule: False})
    assert any(violation(seed, rules, mixed=False) for seed in range(MOST_WORLDS_TO_A_VIOLATION)), rule


def test_a_sender_that_ignores_fences_sends_twice() -> None:
    assert any(violation(seed, void=False, mixed=False) for seed in range(MOST_WORLDS_TO_A_VIOLATION))


def test_what_went_to_the_keeper_is_written_twice_when_it_does_not_count_as_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(exact, "kept", lambda headers, value: ())
    assert any(violation(seed) for seed in range(MOST_WORLDS_TO_A_VIOLATION))


def test_a_user_has_two_records_when_the_first_is_not_the_decision(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OrderGates, "as_decided", OrderGates.judge)
    assert any(violation(seed) for seed in range(MOST_WORLDS_TO_A_VIOLATION))
