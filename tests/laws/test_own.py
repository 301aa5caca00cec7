"""The law of one owner per token, over the real REGISTER and OWN: registrations and their ends in any order, late ones
too, kills between any two writes, claims and evictions that come twice, former owners whose writes land late. At rest
at most one device has a token. It is the one that was registered with it last, if that registration still stands.

The same worlds with one rule off show why it is there.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable
from typing import Any

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pushcast.handover.claims import ClaimRefused
from pushcast.handover.guard import RowGuard
from pushcast.model.clock import ManualClock
from pushcast.model.ids import is_user_row, partition_of, token_hash
from pushcast.own import chunk
from pushcast.own.decide import Decision, decide
from pushcast.own.token_marks import TokenMarks
from pushcast.register import evicting, rows
from pushcast.register.removals import gone
from pushcast.register.sweep import DEFAULT_RULES
from pushcast.register.writing import Writing
from pushcast.stream.batch import TP
from pushcast.stream.tracker import Tracker
from pushcast.wire.devices.devices import decode_row
from pushcast.wire.topics import DEVICE_CHANGED, TOKEN_CLAIM, TOKEN_EVICT
from twins.kafka import OPEN, TwinBarrier, settled
from unit.own.twin import OwnHarness, own_kafka
from unit.register.twin import PARTITIONS, T0, Harness, TwinKafka, record

USERS = {partition_of(f"user-{number}".encode(), PARTITIONS): f"user-{number}" for number in range(9)}
USERS = dict(sorted(USERS.items())[:3])  # in three partitions
TOKENS = {"t1": "aa" * 32, "t2": "bb" * 32}
HOMES = sorted({partition_of(token_hash(address.encode()), PARTITIONS) for address in TOKENS.values()})
#: Enough worlds for every rule that is off to show a violation, from where its search begins.
MOST_WORLDS_TO_A_VIOLATION = 200
#: Any share of stale devices may go: the brake has tests of its own.
SWEEP_RULES = DEFAULT_RULES._replace(max_share=1.0)
Event = tuple[str, int, str | None]  # user, at, token; None: unregistered


class World:
    """One log, one registrar, one owner of claims; former ones whose writes are still on their way."""

    def __init__(self, seed: int, max_per_user: int | None = None) -> None:
        self.rnd = random.Random(seed)
        self.clock = ManualClock(T0)
        self.max_per_user = max_per_user
        self.log = TwinKafka().log
        self.committed: dict[TP, int] = {}
        self.metadata: dict[TP, str] = {}
        self.former: list[TwinKafka] = []
        self.handling: dict[TP, asyncio.Future[None]] = {}
        self.events = self._events()
        self.to_come = self._order()

    def _events(self) -> list[Event]:
        rnd = self.rnd
        ats = sorted(rnd.sample(range(100), rnd.randint(2, 7)))
        users, tokens = list(USERS.values()), list(TOKENS)
        return [(rnd.choice(users), at, None if rnd.random() < 0.25 else rnd.choice(tokens)) for at in ats]

    def _order(self) -> list[Event]:
        """As they arrive: of half of the users in order, of the others late."""
        queues = {user: [event for event in self.events if event[0] == user] for user in USERS.values()}
        for queue in queues.values():
            if self.rnd.random() < 0.5:
                self.rnd.shuffle(queue)
        arriving = []
        while any(queues.values()):
            arriving.append(self.rnd.choice([queue for queue in queues.values() if queue]).pop(0))
        return arriving

    async def start_registrar(self) -> None:
        kafka = TwinKafka(acks=False, log=self.log, now_ms=self.clock.now_ms)
        self.registrar = Harness(kafka, max_per_user=self.max_per_user, clock=self.clock, rules=SWEEP_RULES)
        await self._take_over(self.registrar, USERS, (DEVICE_CHANGED, TOKEN_EVICT))

    async def start_owner(self) -> None:
        self.owner = OwnHarness(own_kafka(acks=False, log=self.log, now_ms=self.clock.now_ms), self.clock)
        await self._take_over(self.owner, HOMES, (TOKEN_CLAIM,))

    async def _take_over(self, heir: Any, partitions: Iterable[int], sources: tuple[str, ...]) -> None:
        for partition in partitions:
            heir.kafka.tail(partition)
            for source in sources:
                tp = TP(source, partition)
                heir.trackers[tp] = Tracker(self.committed.get(tp, 0), OPEN)
            while True:
                try:
                    await heir.take_over(partition, self.metadata.get(TP(sources[0], partition), ""))
                    break
                except ClaimRefused:
                    continue  # as the transport does: a fence landed meanwhile

    async def kill(self, process: Any) -> None:
        """What it has put may still land, in part, for as long as it is only stopped."""
        for tp, handling in list(self.handling.items()):
            if tp in process.trackers:
                handling.cancel()
                del self.handling[tp]
        process.kafka._pending = process.kafka._pending[: self.rnd.randint(0, len(process.kafka._pending))]
        self.former.append(process.kafka)
        await (self.start_registrar() if process is self.registrar else self.start_owner())

    def produce(self) -> None:
        """The next event reaches Kafka."""
        user, at, token = self.to_come.pop(0)
        body = {"op": "register" if token else "unregister", "app": "news", "device": "d", "at": T0 - 100 + at}
        if token:
            body |= {"platform": "apns", "token": TOKENS[token]}
        home = partition_of(user.encode(), PARTITIONS)
        self.registrar.kafka.append(record(DEVICE_CHANGED, home, 0, user.encode(), orjson.dumps(body)))

    def deliver(self, process: Any, tp: TP) -> bool:
        """Hands over some of what a partition has; False when there is nothing."""
        if tp in self.handling:
            return False
        start = process.trackers[tp].next_offset
        records = self.log[tp][start : start + self.rnd.randint(1, 3)]
        if records:
            self.handling[tp] = asyncio.ensure_future(process.stage.handle(process.batch(records)))
        return bool(records)

    def land(self, kafka: TwinKafka) -> None:
        """One write reaches Kafka; writes to one partition in order."""
        pending = kafka._pending
        if pending:
            spots = sorted({(each.topic, each.partition) for _, each in pending})
            spot = self.rnd.choice(spots)
            at = next(index for index, (_, each) in enumerate(pending) if (each.topic, each.partition) == spot)
            pending.insert(0, pending.pop(at))
            kafka.acknowledge(1)

    async def look(self) -> None:
        """What is done is committed."""
        await settled()
        for tp, handling in list(self.handling.items()):
            if handling.done():
                handling.result()
                del self.handling[tp]
        for process in (self.registrar, self.owner):
            for tp, tracker in process.trackers.items():
                if self.rnd.random() < 0.7 and tracker.low > self.committed.get(tp, 0):
                    self.committed[tp] = tracker.low
                    self.metadata[tp] = process.stage.commit_metadata(tp, tracker.low)

    def tail_all(self) -> None:
        """As far as the logs go."""
        for partition in USERS:
            self.registrar.kafka.tail(partition)
        for partition in HOMES:
            self.owner.kafka.tail(partition)

    def places(self) -> list[tuple[Any, TP]]:
        return [(process, tp) for process in (self.registrar, self.owner) for tp in process.trackers]

    def tail(self) -> None:
        self.registrar.kafka.tail(self.rnd.choice(list(USERS)))
        self.owner.kafka.tail(self.rnd.choice(HOMES))

    async def run(self) -> None:
        rnd = self.rnd
        await self.start_registrar()
        await self.start_owner()
        for _ in range(rnd.randint(20, 90)):
            dice = rnd.random()
            if dice < 0.15 and self.to_come:
                self.produce()
            elif dice < 0.2:
                await self.kill(rnd.choice([self.registrar, self.owner]))
            elif dice < 0.55:
                self.deliver(*rnd.choice(self.places()))
            elif dice < 0.6 and self.former:
                self.land(rnd.choice(self.former))
            elif dice < 0.9:
                self.land(rnd.choice([self.registrar.kafka, self.owner.kafka]))
            else:
                self.tail()
            await self.look()
        while self.to_come:
            self.produce()
        await self.come_to_rest()

    async def come_to_rest(self) -> None:
        """Everything that is on its way arrives."""
        for kafka in self.former:
            kafka.acknowledge()
        while True:
            moved = [self.deliver(*place) for place in self.places()]
            for kafka in (self.registrar.kafka, self.owner.kafka):
                moved.append(bool(kafka._pending))
                kafka.acknowledge()
            self.tail_all()
            await self.look()
            # What was tailed may have been void: the row that is written over it is on its way then.
            moved += [bool(kafka._pending) for kafka in (self.registrar.kafka, self.owner.kafka)]
            if not any(moved) and not self.handling:
                return

    def holders(self) -> dict[str, set[str]]:
        """Users by token."""
        found: dict[str, set[str]] = {token: set() for token in TOKENS}
        names = {address: token for token, address in TOKENS.items()}
        for partition, user in USERS.items():
            for key, value in self.registrar.kafka.compacted(partition).items():
                row = None if is_user_row(key) else decode_row(value)
                if row is not None and not row.is_gone:
                    found[names[row.address.decode()]].add(user)
        return found

    def expected(self) -> dict[str, set[str]]:
        """The last event of a user decides that user; of the registrations of a token the newest owns it."""
        last = {user: max(event[1] for event in self.events if event[0] == user) for user, *_ in self.events}
        found: dict[str, set[str]] = {token: set() for token in TOKENS}
        for token, owners in found.items():
            registrations = [(at, user) for user, at, named in self.events if named == token]
            if registrations:
                at, user = max(registrations)
                owners.update({user} if last[user] == at else ())
        return found


def violation(seed: int) -> str | None:
    async def finished() -> str | None:
        world = World(seed)
        await world.run()
        if world.registrar.failures or world.owner.failures:
            return f"failed: {world.registrar.failures or world.owner.failures}"
        found, expected = world.holders(), world.expected()
        return None if found == expected else f"{found} and not {expected} after {world.events}"

    return asyncio.run(finished())


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32))
@example(1_589_722)  # the last record to land is void
def test_a_token_has_one_owner_the_one_that_was_registered_with_it_last(seed: int) -> None:
    assert violation(seed) is None


def no_markers(patch: pytest.MonkeyPatch) -> None:
    """A removed device is a tombstone, which has no time."""
    patch.setattr(Writing, "gone", lambda self, record, key, row, reason, step="": self.nothing(record, key, reason))


def marks_end(patch: pytest.MonkeyPatch) -> None:
    """A mark does not outlive its registration."""

    def forgetful(mark: Any, claim: Any, recorded_at: int) -> Decision:
        return decide(mark if mark is not None and mark.live else None, claim, recorded_at)

    patch.setattr(chunk, "decide", forgetful)


def late_events_are_silent(patch: pytest.MonkeyPatch) -> None:
    """An outdated registration claims nothing."""
    patch.setattr(rows, "too_late", lambda *_: [])


def markers_of_now(patch: pytest.MonkeyPatch) -> None:
    """The marker of an evicted device has the time of its eviction."""
    patch.setattr(
        evicting, "gone", lambda key, row, at, removed_at, reason: gone(key, row, removed_at, removed_at, reason)
    )


class _Impatient(TwinBarrier):
    """Does not hold anybody up."""

    async def wait(self) -> None:
        return


def marks_first(patch: pytest.MonkeyPatch) -> None:
    """A mark does not wait for its eviction."""

    async def put(self: TokenMarks, evicts: Any) -> None:
        kafka: Any = self._outbox
        patch.setattr(kafka, "barrier", _Impatient)
        await original(self, evicts)
        patch.setattr(kafka, "barrier", TwinBarrier)

    original = TokenMarks.evict
    patch.setattr(TokenMarks, "evict", put)


def claims_once(patch: pytest.MonkeyPatch) -> None:
    """A registration that finds its own row claims nothing."""
    patch.setattr(rows, "held", lambda *_: None)


def claims_beside_the_barrier(patch: pytest.MonkeyPatch) -> None:
    """An event is done without its claim."""

    def put(self: Writing) -> None:
        mine, self._barrier = self._barrier, self._context.outbox.barrier()
        original(self)
        self._barrier = mine

    original = Writing._put_claims
    patch.setattr(Writing, "_put_claims", put)


def zombies_count(patch: pytest.MonkeyPatch) -> None:
    """Rows of fenced-off processes count."""
    look = RowGuard._is_void
    patch.setattr(RowGuard, "_is_void", lambda *arguments: look(*arguments) and False)


#: With the seed from which a violation is near.
RULES: list[tuple[Callable[[pytest.MonkeyPatch], None], int]] = [
    (no_markers, 0),
    (marks_end, 0),
    (late_events_are_silent, 0),
    (markers_of_now, 1_000),
    (marks_first, 640),
    (claims_once, 0),
    (claims_beside_the_barrier, 0),
    (zombies_count, 0),
]


@pytest.mark.parametrize(("rule_off", "start"), RULES)
def test_without_the_rule_a_token_has_two_owners_or_the_wrong_one(
    rule_off: Callable[[pytest.MonkeyPatch], None], start: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rule_off(monkeypatch)
    assert any(violation(seed) for seed in range(start, start + MOST_WORLDS_TO_A_VIOLATION))
