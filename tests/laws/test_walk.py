"""A walk that changes hands: no device twice, none missing, and the leg records count what was sent.

Random worlds drive pushcast.walk.legs and pushcast.walk.walking: planners that are killed or live on as zombies, writes
that land late, rows that come and go while they are walked, several orders of which later ones end first, copies of
orders. With any one rule switched off a violation must turn up, or the worlds would prove nothing.
"""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import pytest

from pushcast.handover.fences import Author, Fences
from pushcast.handover.rules import ALL, Rules
from pushcast.handover.standing import decode
from pushcast.handover.state import Outset
from pushcast.walk.legs import LegMark, OpenLeg, OrderWalk, PlannedDelivery
from pushcast.walk.walking import Walking, WrittenDelivery
from twins.rivals import Unrest, struggle

ORIGIN = "walk-bulk/0"
SENDS = ("send-a", "send-b")
LEGS = "walked"
OUTPUTS = (*SENDS, LEGS)
WORLDS = 1000
MOST_WORLDS_TO_A_VIOLATION = 6000
UNREST = Unrest(500, joins=0.015, kills=0.02, churns=0.025)

Device = tuple[bytes, int]  # user, number


def read_item(topic: str, item: bytes) -> WrittenDelivery:
    user, number = item.split(b"\0")
    return WrittenDelivery(user, item, PlannedDelivery(topic, number))


def read_mark(item: bytes) -> LegMark:
    leg, to_user, rows, last = item.split(b"\0")
    return LegMark(int(leg), to_user, int(rows), last == b"1")


@dataclass
class Written:
    author: Author
    order: int = -1  # -1 in a fence
    items: tuple[bytes, ...] = ()
    mark: LegMark | None = None
    count: int = 0

    @property
    def folded(self) -> list[tuple[int, bytes]]:
        if self.mark is None:
            return [(self.order, item) for item in self.items]
        mark = self.mark
        return [(self.order, b"%d\0%s\0%d\0%d" % (mark.leg, mark.to_user, mark.rows, mark.last))]


@dataclass
class Log:
    records: list[Written] = field(default_factory=list)

    def judged(self) -> list[Written]:
        fences = Fences()
        return [record for at, record in enumerate(self.records) if fences.admit(record.author, at)]


class World:
    """One partition. `orders`: (intake log, intake offset) of each record in the walk topic; copies are among them."""

    def __init__(self, rnd: random.Random) -> None:
        self.rnd = rnd
        self.logs = {topic: Log() for topic in OUTPUTS}
        self.users = rnd.randint(4, 12)
        every = [(b"%02d" % user, number) for user in range(self.users) for number in range(2)]
        self.rows = {device for device in every if rnd.random() < 0.6}
        self.stable = set(self.rows)  # there from the first moment to the last
        self.late: set[Device] = set()  # registered after the broadcasts
        self.orders: list[tuple[str, int]] = []
        log, intake = "log-0", 0
        for number in range(rnd.randint(1, 3)):
            if rnd.random() < 0.2:
                log, intake = f"log-{number}", -1  # the intake topic was made anew
            intake += rnd.randint(1, 2)
            self.orders.append((log, intake))
            if rnd.random() < 0.3:
                self.orders.append((log, intake))
        self.committed: tuple[int, str] = (0, "")
        self.owner: Planner | None = None
        self.now_seconds = 100

    def churn(self) -> None:
        device = b"%02d" % self.rnd.randrange(self.users), self.rnd.randrange(2)
        if device in self.rows:
            self.rows.discard(device)
            self.stable.discard(device)
        else:
            self.rows.add(device)
            self.late.add(device)

    def is_copy(self, offset: int) -> bool:
        return self.orders[offset] in self.orders[:offset]


Pending = tuple[Written, Callable[[], None]]


class Planner:
    """A planner process; `network` holds what it produced and no broker has appended yet, in order per partition."""

    def __init__(self, world: World, rules: Rules) -> None:
        self.world, self.rules, self.alive = world, rules, True
        self.network: dict[str, deque[Pending]] = {topic: deque() for topic in OUTPUTS}
        self.state: Walking | None = None
        self.rounds: deque[tuple[str, ...]] = deque()
        self.awaited = 0
        self.running = False
        self.taken: dict[int, OrderWalk | None] = {}  # None: a copy
        self.next = 0

    def produce(self, topic: str, record: Written, acked: Callable[[], None]) -> None:
        self.network[topic].append((record, acked))

    def deliver(self, topic: str) -> None:
        if self.network[topic]:
            record, acked = self.network[topic].popleft()
            records = self.world.logs[topic].records
            records.append(record)
            if self.state is not None and record.order >= 0:
                self.state.ended(topic, len(records))
            acked()

    def author(self, state: Walking) -> Author:
        return Author(ORIGIN, state.epoch, fence=False)

    def step(self) -> None:
        state, rnd = self.state, self.world.rnd
        if state is None:
            self.claim()
        elif not self.running:
            self.prepare(state)
        elif rnd.random() < 0.2:
            self.commit(state)
        elif rnd.random() < 0.3 and self.next < len(self.world.orders):
            offset, self.next = self.next, self.next + 1
            self.taken[offset] = None if state.is_copy(offset, *self.world.orders[offset]) else state.walk(offset)
        else:
            open_walks = [walk for walk in self.taken.values() if walk is not None and walk.may_begin]
            if open_walks:
                self.leg(state, rnd.choice(open_walks))

    def claim(self) -> None:
        world = self.world
        if world.owner is not self:
            return
        offset, metadata = world.committed
        ends = {topic: len(log.records) for topic, log in world.logs.items()}
        state = Walking(
            Outset(ORIGIN, OUTPUTS, LEGS, decode(metadata), offset, ends, world.now_seconds),
            self.rules,
            read_item=read_item,
            read_mark=read_mark,
        )
        world.committed = (offset, state.metadata(offset))
        self.state, self.next, self.rounds = state, offset, deque(state.fence_rounds)
        self.fence(state)

    def fence(self, state: Walking) -> None:
        for topic in self.rounds.popleft():
            self.awaited += 1
            fence = Written(Author(ORIGIN, state.epoch, fence=True))
            self.produce(topic, fence, partial(self.fenced, state, topic))

    def fenced(self, state: Walking, topic: str) -> None:
        self.awaited -= 1
        state.fenced(topic, len(self.world.logs[topic].records))

    def prepare(self, state: Walking) -> None:
        if self.awaited:
            return
        if self.rounds:
            self.fence(state)
            return
        if not state.started:
            for topic, end in state.fence_ends.items():
                records = self.world.logs[topic].records
                for at in range(state.starts[topic], end):
                    if state.tail.admit(topic, at, records[at].author):
                        state.tail.add_items(topic, records[at].folded)
            state.start()
            for walk, leg in state.to_restate():
                self.awaited += 1
                self.write(state, walk, leg, partial(self.restated, state, walk, leg))
            return
        self.running = True

    def restated(self, state: Walking, walk: OrderWalk, leg: OpenLeg, at: int) -> None:
        self.awaited -= 1
        state.restated(walk, leg, at)

    def leg(self, state: Walking, walk: OrderWalk) -> None:
        world, rnd = self.world, self.world.rnd
        note = state.positions()
        if rnd.random() < 0.3:  # what is known of the ends may be old
            note = {topic: max(state.starts[topic], end - rnd.randint(0, 2)) for topic, end in note.items()}
        leg = walk.begin(note)
        users = sorted({user for user, _ in world.rows if user > walk.front})
        reach = rnd.randint(1, 5)
        to_user, last = (users[reach - 1], False) if reach < len(users) else (users[-1] if users else walk.front, True)
        fresh: dict[str, list[bytes]] = {topic: [] for topic in SENDS}
        for user, number in sorted(world.rows):
            item = b"%s\0%d" % (user, number)
            if not leg.from_user < user <= to_user or (user, number) in world.late:
                continue
            leg.scanned += 1
            if item not in walk.there(user):
                fresh[SENDS[number]].append(item)
                leg.planned[SENDS[number]] += 1
        for topic, items in fresh.items():
            while items:
                part = tuple(items[: rnd.randint(1, 3)])
                del items[: len(part)]
                leg.unacked += 1
                self.produce(
                    topic, Written(self.author(state), walk.offset, part), partial(self.acked, state, walk, leg)
                )
        walk.end(leg, to_user, last=last)
        self.close(state, walk)

    def acked(self, state: Walking, walk: OrderWalk, leg: OpenLeg) -> None:
        leg.unacked -= 1
        self.close(state, walk)

    def close(self, state: Walking, walk: OrderWalk) -> None:
        leg = walk.to_write()
        if leg is not None:
            self.write(state, walk, leg, partial(self.written, state, walk, leg))

    def write(self, state: Walking, walk: OrderWalk, leg: OpenLeg, acked: Callable[[int], None]) -> None:
        record = Written(self.author(state), walk.offset, mark=leg.mark, count=leg.planned.total())
        self.produce(LEGS, record, partial(acked, state.positions()[LEGS]))

    def written(self, state: Walking, walk: OrderWalk, leg: OpenLeg, at: int) -> None:
        walk.written(leg, at)
        self.close(state, walk)

    def commit(self, state: Walking) -> None:
        world = self.world
        if world.owner is not self:
            return  # the coordinator refuses
        offset = world.committed[0]
        while offset in self.taken and ((walk := self.taken[offset]) is None or walk.finished):
            offset += 1
        world.committed = (offset, state.metadata(offset))


def violation(seed: int, rules: Rules = ALL, *, void: bool = True) -> str | None:
    """What went wrong in the world of this seed."""
    rnd = random.Random(seed)
    world = World(rnd)

    def take_over() -> Planner:
        world.now_seconds += rnd.choice((0, 0, 1, 5, -3))
        world.owner = Planner(world, rules)
        return world.owner

    if not struggle(rnd, UNREST, take_over, world.churn, lambda: world.committed[0] == len(world.orders), OUTPUTS):
        return "no progress"
    return judged(world, void=void)


def judged(world: World, *, void: bool) -> str | None:
    sent: dict[int, list[bytes]] = {}
    legs: dict[int, list[Written]] = {}
    for log in world.logs.values():
        for record in log.judged() if void else log.records:
            if record.mark is not None:
                legs.setdefault(record.order, []).append(record)
            elif record.order >= 0:
                sent.setdefault(record.order, []).extend(record.items)
    stable = {b"%s\0%d" % device for device in world.stable}
    for order in range(len(world.orders)):
        items = sent.get(order, [])
        if world.is_copy(order):
            if items or order in legs:
                return f"order {order} is a copy and was walked"
            continue
        if twice := [item for item, count in Counter(items).items() if count > 1]:
            return f"order {order} reaches {twice} twice"
        if missed := stable - set(items):
            return f"order {order} misses {missed}"
        stated = legs.get(order, [])
        numbers = [record.mark.leg for record in stated if record.mark is not None]
        if len(set(numbers)) != len(numbers):
            return f"order {order} has two legs of one number: {numbers}"
        if not any(record.mark.last for record in stated if record.mark is not None):
            return f"order {order} has no last leg"
        if (total := sum(record.count for record in stated)) != len(items):
            return f"order {order} states {total} deliveries, there are {len(items)}"
    return None


def test_every_device_gets_every_broadcast_once_and_the_legs_count_them() -> None:
    for seed in range(WORLDS):
        assert violation(seed) is None, f"seed {seed}"


@pytest.mark.parametrize("rule", ["planned_first", "tail", "note", "inherit", "fenced_at", "restate", "cursor"])
def test_without_the_rule_something_is_lost_or_doubled(rule: str) -> None:
    rules = Rules(**{rule: False})
    assert any(violation(seed, rules) for seed in range(MOST_WORLDS_TO_A_VIOLATION)), rule


def test_a_reader_that_ignores_fences_sees_doubles() -> None:
    assert any(violation(seed, void=False) for seed in range(MOST_WORLDS_TO_A_VIOLATION))
