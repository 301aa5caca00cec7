"""A source partition that changes hands: nothing planned twice, nothing missing, planned count = deliveries.

Random worlds drive pushcast.handover: planners that are killed or live on as zombies, writes that land late,
windows that close in any order, devices that come and go between plans, readers that crash. With any one rule switched
off a violation must turn up, or the worlds would prove nothing.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from pushcast.handover.fences import Author, Fences
from pushcast.handover.floors import FIRST_BLOCK_RECORDS, FloorSearch
from pushcast.handover.rules import ALL, Rules
from pushcast.handover.standing import Standing, decode, encode
from pushcast.handover.state import Outset, Takeover
from twins.rivals import Unrest, struggle

ORIGIN = "plan/0"
SENDS = ("send-a", "send-b")
PLANNED = "planned"
OUTPUTS = (*SENDS, PLANNED)
WORLDS = 1500
MOST_WORLDS_TO_A_VIOLATION = 6000
UNREST = Unrest(400, joins=0.02, kills=0.02, churns=0.02)


@dataclass
class Written:
    author: Author
    offset: int = -1  # source offset; -1 in a fence
    item: bytes = b""
    count: int = 0  # of a planned record


@dataclass
class Log:
    records: list[Written] = field(default_factory=list)

    def judged(self) -> list[Written]:
        """The records that count, by a reader that starts at the beginning and never crashes."""
        fences = Fences()
        return [record for at, record in enumerate(self.records) if fences.admit(record.author, at)]


class World:
    def __init__(self, rnd: random.Random, planned_last: bool) -> None:
        self.rnd = rnd
        self.planned_last = planned_last
        self.logs = {topic: Log() for topic in OUTPUTS}
        self.count = rnd.randint(3, 12)
        self.devices = {offset: set(rnd.sample(range(6), rnd.randint(0, 4))) for offset in range(self.count)}
        self.committed: tuple[int, str] = (0, "")
        self.owner: Planner | None = None
        self.now_seconds = 100

    def churn(self) -> None:
        self.devices[self.rnd.randrange(self.count)] ^= {self.rnd.randrange(6)}


Pending = tuple[Written, Callable[[int], None]]


class Planner:
    """A planner process; `network` holds what it produced and no broker has appended yet, in order per partition."""

    def __init__(self, world: World, rules: Rules) -> None:
        self.world, self.rules, self.alive = world, rules, True
        self.network: dict[str, deque[Pending]] = {topic: deque() for topic in OUTPUTS}
        self.takeover: Takeover | None = None
        self.rounds: deque[tuple[str, ...]] = deque()
        self.running = False
        self.next = 0
        self.done: set[int] = set()
        self.windows: dict[int, tuple[set[int], int]] = {}  # source offset -> new devices, how many are there already

    def produce(self, topic: str, record: Written, acked: Callable[[int], None]) -> None:
        self.network[topic].append((record, acked))

    def deliver(self, topic: str) -> None:
        if self.network[topic]:
            record, acked = self.network[topic].popleft()
            records = self.world.logs[topic].records
            records.append(record)
            acked(len(records))

    def step(self) -> None:
        world = self.world
        if self.takeover is None:
            self.claim()
        elif not self.running:
            self.prepare(self.takeover)
        else:
            dice = world.rnd.random()
            if dice < 0.5 and self.next < world.count:
                self.handle(self.takeover, self.next)
                self.next += 1
            elif dice < 0.8 and self.windows:
                self.flush(self.takeover, world.rnd.choice(sorted(self.windows)))
            else:
                self.commit(self.takeover)

    def claim(self) -> None:
        world = self.world
        if world.owner is not self:
            return
        offset, metadata = world.committed
        ends = {topic: len(log.records) for topic, log in world.logs.items()}
        outset = Outset(ORIGIN, OUTPUTS, PLANNED, decode(metadata), offset, ends, world.now_seconds)
        takeover = Takeover(outset, self.rules)
        world.committed = (offset, takeover.metadata(offset))
        self.takeover, self.next, self.rounds = takeover, offset, deque(takeover.fence_rounds)
        self.fence(takeover)

    def fence(self, takeover: Takeover) -> None:
        for topic in self.rounds.popleft():
            fence = Written(Author(ORIGIN, takeover.epoch, fence=True))
            self.produce(topic, fence, lambda end, topic=topic: takeover.fenced(topic, end))  # type: ignore[misc]
        self.asked = len(takeover.fence_ends) + sum(map(len, self.network.values()))

    def prepare(self, takeover: Takeover) -> None:
        if len(takeover.fence_ends) < self.asked:
            return
        if self.rounds:
            self.fence(takeover)
            return
        tail = takeover.tail
        for topic, end in takeover.fence_ends.items():
            records = self.world.logs[topic].records
            for at in range(takeover.starts[topic], end):
                record = records[at]
                if not tail.admit(topic, at, record.author):
                    continue
                if topic == PLANNED:
                    tail.add_planned([record.offset])
                else:
                    tail.add_items(topic, [(record.offset, record.item)])
        takeover.start()
        self.running = True

    def handle(self, takeover: Takeover, offset: int) -> None:
        takeover.note(offset, offset)
        if takeover.tail.is_done(offset):
            self.done.add(offset)
            return
        there = takeover.tail.take(offset) or {}
        old = {int(item) for items in there.values() for item in items}
        self.windows[offset] = (self.world.devices[offset] - old, len(old))

    def flush(self, takeover: Takeover, offset: int) -> None:
        new, old = self.windows.pop(offset)
        left = len(new)

        def state_it() -> None:
            def acked(end: int) -> None:
                takeover.ended(PLANNED, end)
                self.done.add(offset)

            author = Author(ORIGIN, takeover.epoch, fence=False)
            self.produce(PLANNED, Written(author, offset, count=len(new) + old), acked)

        def sent(topic: str, end: int) -> None:
            nonlocal left
            takeover.ended(topic, end)
            left -= 1
            if not left and self.world.planned_last:
                state_it()

        if not new or not self.world.planned_last:
            state_it()
        for device in sorted(new):
            topic = SENDS[device % 2]
            record = Written(Author(ORIGIN, takeover.epoch, fence=False), offset, b"%d" % device)
            self.produce(topic, record, lambda end, topic=topic: sent(topic, end))  # type: ignore[misc]

    def commit(self, takeover: Takeover) -> None:
        world = self.world
        if world.owner is not self:
            return  # the coordinator refuses
        offset = world.committed[0]
        while offset in self.done:
            offset += 1
        world.committed = (offset, takeover.metadata(offset))


def violation(seed: int, rules: Rules = ALL, *, planned_last: bool = True, void: bool = True) -> str | None:
    """What went wrong in the world of this seed."""
    rnd = random.Random(seed)
    world = World(rnd, planned_last)

    def take_over() -> Planner:
        world.now_seconds += rnd.choice((0, 0, 1, 5, -3))
        world.owner = Planner(world, rules)
        return world.owner

    if not struggle(rnd, UNREST, take_over, world.churn, lambda: world.committed[0] == world.count, OUTPUTS):
        return "no progress"
    return _judged(world, void)


def _judged(world: World, void: bool) -> str | None:
    sent: dict[int, list[bytes]] = {}
    stated: dict[int, list[int]] = {}
    for topic, log in world.logs.items():
        for record in log.judged() if void else log.records:
            if record.author.fence:
                continue
            if topic == PLANNED:
                stated.setdefault(record.offset, []).append(record.count)
            else:
                sent.setdefault(record.offset, []).append(record.item)
    for offset in range(world.count):
        items = sent.get(offset, [])
        if len(items) != len(set(items)):
            return f"offset {offset} is planned twice: {items}"
        if offset not in stated:
            return f"offset {offset} is missing"
        if len(stated[offset]) > 1:
            return f"offset {offset} is stated {len(stated[offset])} times"
        if stated[offset][0] != len(items):
            return f"offset {offset} is stated as {stated[offset][0]} deliveries, there are {len(items)}"
    return None


def test_every_record_is_planned_exactly_once() -> None:
    for seed in range(WORLDS):
        assert violation(seed) is None, f"seed {seed}"


@pytest.mark.parametrize("rule", ["planned_first", "tail", "note", "inherit", "fenced_at"])
def test_without_the_rule_something_is_lost_or_doubled(rule: str) -> None:
    rules = Rules(**{rule: False})
    assert any(violation(seed, rules) for seed in range(MOST_WORLDS_TO_A_VIOLATION)), rule


def test_a_planned_record_before_its_deliveries_loses_some() -> None:
    assert any(violation(seed, planned_last=False) for seed in range(MOST_WORLDS_TO_A_VIOLATION))


def test_a_reader_that_ignores_fences_sees_doubles() -> None:
    assert any(violation(seed, void=False) for seed in range(MOST_WORLDS_TO_A_VIOLATION))


def outranked(seed: int, rules: Rules = ALL) -> str | None:
    """Owners one after the other, clocks apart by hours, offsets set by an operator while no owner runs (C13).

    Kafka sets offsets of a group without members alone, so no claim is under way when metadata is lost; what a stopped
    process buffered may still land.
    """
    rnd = random.Random(seed)
    log: list[Author] = []
    late: list[Author] = []
    owned: list[int] = []  # places of what owners wrote before they had a successor
    metadata = ""
    for _ in range(rnd.randint(2, 6)):
        if rnd.random() < 0.5:
            metadata = ""
        known = decode(metadata)
        search = FloorSearch([ORIGIN], len(log))
        while not known.epoch and search.span is not None:
            for author in log[slice(*search.span)]:
                search.see(author)
            search.next_block()
        now_seconds = 10_000 + rnd.choice((0, 0, 3600, -3600)) + rnd.randint(0, 9)
        ends = {PLANNED: len(log)}
        outset = Outset(ORIGIN, [PLANNED], None, known, 0, ends, now_seconds, search.floor(ORIGIN))
        own = Takeover(outset, rules)
        metadata = own.metadata(0)
        log.append(Author(ORIGIN, own.epoch, fence=True))
        for _ in range(rnd.choice((1, 3, 2 * FIRST_BLOCK_RECORDS))):
            if late and rnd.random() < 0.2:
                log.append(late.pop(0))
            owned.append(len(log))
            log.append(Author(ORIGIN, own.epoch, fence=False))
            if rnd.random() < 0.1:
                log.append(Author("plan/1", 99_999, fence=rnd.random() < 0.5))
        late += [Author(ORIGIN, own.epoch, fence=False)] * rnd.randint(0, 3)
    fences = Fences()
    admitted = {at for at, author in enumerate(log) if fences.admit(author, at)}
    void = [at for at in owned if at not in admitted]
    return f"records {void[:5]} of an owner are void" if void else None


def test_c13_what_an_owner_writes_counts_whatever_its_predecessors_clock_said() -> None:
    for seed in range(WORLDS // 10):
        assert outranked(seed) is None, f"seed {seed}"


def test_c13_without_the_floor_an_owner_whose_metadata_is_lost_writes_in_vain() -> None:
    assert any(outranked(seed, Rules(floor=False)) for seed in range(WORLDS // 10))


def misjudged(seed: int, rules: Rules = ALL) -> str | None:
    """A reader that completes records out of order, commits its low watermark, crashes and reads again."""
    rnd = random.Random(seed)
    epochs = {"plan/0": 1, "settle/0": 1}
    log: list[Author] = []
    for _ in range(rnd.randint(5, 60)):
        origin = rnd.choice(sorted(epochs))
        if rnd.random() < 0.2:
            epochs[origin] += rnd.randint(1, 3)
            log.append(Author(origin, epochs[origin], fence=True))
        else:
            log.append(Author(origin, max(1, epochs[origin] - rnd.choice((0, 0, 0, 1, 2))), fence=False))
    whole = Fences()
    truth = [whole.admit(author, at) for at, author in enumerate(log)]
    committed, metadata = 0, ""
    while committed < len(log):
        fences, low = Fences(decode(metadata).origins, rules), committed
        unfinished: set[int] = set()
        for at in range(committed, len(log)):
            if fences.admit(log[at], at) != truth[at]:
                return f"record {at} is judged anew"
            unfinished.add(at)
            for again in rnd.sample(sorted(unfinished), min(len(unfinished), 1)):  # a batch handed over once more
                if fences.admit(log[again], again) != truth[again]:
                    return f"record {again} is judged anew within an assignment"
            for offset in rnd.sample(sorted(unfinished), rnd.randint(0, len(unfinished))):
                unfinished.discard(offset)
            low = min(unfinished, default=at + 1)
            if rnd.random() < 0.3:
                committed, metadata = low, encode(Standing(origins=fences.below(low)))
            if rnd.random() < 0.1:
                break
        else:
            committed, metadata = len(log), encode(Standing(origins=fences.below(len(log))))
    return None


def test_a_reader_judges_a_record_alike_whenever_it_reads_it() -> None:
    for seed in range(WORLDS):
        assert misjudged(seed) is None, f"seed {seed}"


def test_a_reader_that_commits_fences_it_has_not_passed_voids_good_records() -> None:
    assert any(misjudged(seed, Rules(fences_below=False)) for seed in range(MOST_WORLDS_TO_A_VIOLATION))
