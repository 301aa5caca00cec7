"""Laws of suspensions: no order of verdicts, registrations, breaker openings, restarts and replays removes a good
token; every suspension ends; copies of records change nothing.

The world behind the records: a provider speaks the truth, but for storms, in which it calls any token dead. Senders
notice a storm before the hold of its first verdict can be over, and announce it, with an estimate of its beginning that
may be wrong, and their verdicts may come late.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, NamedTuple

import orjson
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pushcast.model.ids import partition_of, token_hash
from pushcast.stream.batch import TP
from pushcast.stream.tracker import Record, Tracker
from pushcast.wire.answers.receipts import TokenInvalid, encode_token_invalid
from pushcast.wire.devices.devices import decode_row
from pushcast.wire.topics import DEVICE_CHANGED, TOKEN_HOLD, TOKEN_INVALID
from twins.kafka import settled
from unit.register.twin import HOLD_SECONDS, OPEN, PARTITIONS, T0, Harness, TwinKafka, record

USER = b"user-1"
HOME = partition_of(USER, PARTITIONS)
SOURCES = (DEVICE_CHANGED, TOKEN_INVALID, TOKEN_HOLD)
DEVICES = 2
TOKENS = ("aa" * 32, "bb" * 32)


class Op(NamedTuple):
    name: str
    device: int = 0
    number: int = 0


#: Most of a program is about devices; the list repeats what should be frequent.
NAMES = [
    *["register", "dies", "lie"] * 3, "late_lie", "copy_change", "copy_verdict", "copy_hold", "storm", "open", "close",
    "pass", "pass", "acknowledge", "apply", "restart",
]  # fmt: skip
ops = st.builds(Op, st.sampled_from(NAMES), st.integers(0, DEVICES - 1), st.integers(0, HOLD_SECONDS))
programs = st.integers(0, 40).flatmap(lambda size: st.lists(ops, min_size=size, max_size=size))


class World:
    """Runs a program against REGISTER, keeping book of what is true."""

    def __init__(self, copies: bool) -> None:
        self.copies = copies
        self.now_ms = T0
        self.harness = Harness(TwinKafka(acks=False))
        self.registered: dict[int, tuple[int, str]] = {}  # device -> time and token of its newest registration
        self.dead: set[tuple[int, str, int]] = set()  # device, token, since
        self.storm_from: int | None = None
        self.last_storm: tuple[int, int] | None = None
        self.announced = False
        self.opened = 0
        self.announcements: list[tuple[Any, ...]] = []
        self.inputs = 0

    async def run(self, program: Sequence[Op]) -> None:
        for op in program:
            self.now_ms += 1
            await getattr(self, f"_{op.name}")(op)
            await self._deliver()

    async def finish(self) -> None:
        """Everything is acknowledged and delivered, and all holds are over."""
        if self.storm_from is not None:
            await self._open(Op("open"))
        for _ in range(2):  # what the first round ends leaves records in the hold topic
            await self._settle()
            await self._advance(HOLD_SECONDS + 1)
        await self._settle()

    async def _settle(self) -> None:
        for _ in range(4):
            self.harness.kafka.acknowledge()
            self.harness.kafka.tail(HOME)
            await self._deliver()

    async def _register(self, op: Op) -> None:
        token = TOKENS[op.number % 2]
        body = {"op": "register", "app": "news", "device": f"d-{op.device}", "platform": "apns", "token": token}
        self._append(DEVICE_CHANGED, orjson.dumps({**body, "at": self.now_ms}))
        self.registered[op.device] = (self.now_ms, token)

    async def _dies(self, op: Op) -> None:
        """The provider finds a token dead, and says so."""
        if op.device in self.registered:
            _, token = self.registered[op.device]
            self.dead.add((op.device, token, self.now_ms))
            self._verdict(op.device, token, self.now_ms)

    async def _lie(self, op: Op) -> None:
        if self.storm_from is not None and op.device in self.registered:
            self._verdict(op.device, self.registered[op.device][1], self.now_ms)

    async def _late_lie(self, op: Op) -> None:
        if self.last_storm is not None and op.device in self.registered:
            self._verdict(op.device, self.registered[op.device][1], self.last_storm[op.number % 2])

    async def _storm(self, _: Op) -> None:
        if self.storm_from is None:
            self.storm_from, self.announced = self.now_ms, False

    async def _open(self, op: Op) -> None:
        """`op.number` seconds too early or, with an odd number, half a storm too late is the estimate."""
        if self.storm_from is None or self.announced:
            return
        estimate = (self.storm_from + self.now_ms) // 2 if op.number % 2 else self.storm_from - op.number * 1000
        self.announced, self.opened = True, self.now_ms
        await self._announce("open", min(estimate, self.now_ms), self.opened, None)

    async def _close(self, op: Op) -> None:
        if self.storm_from is None:
            return
        await self._open(op)
        self.last_storm = (self.storm_from, self.now_ms)
        self.storm_from = None
        await self._announce("closed", self.opened, self.opened, self.now_ms)

    async def _announce(self, *words: Any) -> None:
        self.announcements.append(words)
        await self.harness.announce(*words)

    async def _pass(self, op: Op) -> None:
        await self._advance(1 + op.number)

    async def _advance(self, seconds: int) -> None:
        if self.storm_from is not None and self.now_ms + seconds * 1000 >= self.storm_from + HOLD_SECONDS * 1000:
            await self._open(Op("open"))
        self.now_ms += seconds * 1000
        await self.harness.pass_time(seconds)

    async def _acknowledge(self, op: Op) -> None:
        self.harness.kafka.acknowledge(1 + op.number % 6)

    async def _apply(self, op: Op) -> None:
        self.harness.kafka.tail(HOME, 1 + op.number % 6)

    async def _copy_change(self, op: Op) -> None:
        self._copy(DEVICE_CHANGED, op.number)

    async def _copy_verdict(self, op: Op) -> None:
        self._copy(TOKEN_INVALID, op.number)

    async def _copy_hold(self, op: Op) -> None:
        self._copy(TOKEN_HOLD, op.number)

    def _copy(self, topic: str, number: int) -> None:
        log = self.harness.kafka.log[topic, HOME]
        if self.copies and log:
            self.harness.kafka.append(log[number % len(log)])

    async def _restart(self, _: Op) -> None:
        """What Kafka did not acknowledge is lost; the next process starts at the commit, with the table as of then."""
        old = self.harness
        kafka = TwinKafka(acks=False, log=old.kafka.log)
        kafka.tail(HOME)
        self.harness = harness = Harness(kafka)
        harness.clock.jump_wall((self.now_ms - T0) / 1000)
        for topic in SOURCES:
            tracker = old.trackers.get(TP(topic, HOME))
            harness.trackers[TP(topic, HOME)] = Tracker(0 if tracker is None else tracker.low, OPEN)
        harness.control.live = False
        for words in self.announcements:
            await harness.announce(*words)
        harness.control.live = True

    def _append(self, topic: str, value: bytes) -> None:
        self.harness.kafka.append(record(topic, HOME, 0, USER, value, timestamp=self.now_ms))

    def _verdict(self, device: int, token: str, at: int) -> None:
        verdict = TokenInvalid(
            "user-1", "news", f"d-{device}", "apns", token_hash(token.encode()), "device_unregistered", 410, at, at, at,
            "0" * 32,
        )  # fmt: skip
        self._append(TOKEN_INVALID, encode_token_invalid(verdict))

    async def _deliver(self) -> None:
        for topic in SOURCES:
            log: list[Record] = self.harness.kafka.log[topic, HOME]
            fresh = log[self.harness.next_offset(topic, HOME) :]
            if fresh:
                await self.harness.stage.handle(self.harness.batch(fresh))
        await settled()
        assert not self.harness.failures

    def rows(self) -> dict[str, tuple[str, str]]:
        """Device -> token and state."""
        rows = map(decode_row, self.harness.row_values("user-1").values())
        return {row.device: (row.address.decode(), row.state) for row in rows}

    def good(self) -> dict[str, tuple[str, str]]:
        """Devices whose newest registration no true verdict is about."""
        return {
            f"d-{device}": (token, "active")
            for device, (at, token) in self.registered.items()
            if not any((device, token, since) in self.dead for *_, since in self.dead if since >= at)
        }


async def finished(program: Sequence[Op], copies: bool = True) -> World:
    world = World(copies)
    await world.run(program)
    await world.finish()
    return world


REMOVED_AT_THE_END = [Op("register"), Op("dies")]
#: The sender's estimate is half a minute late: the lie lies before the window that it announces.
ESTIMATED_LATE = [Op("register"), Op("storm"), Op("lie"), Op("pass", number=60), Op("open", number=1)]
ACKNOWLEDGED = Op("acknowledge", number=5)
#: The hold of a verdict from the token's former life is over while a lie holds the new one.
FORMER_LIFE = [
    *(Op("register"), ACKNOWLEDGED, Op("dies"), ACKNOWLEDGED, Op("pass", number=500), Op("register"), ACKNOWLEDGED),
    *(Op("storm"), Op("lie"), ACKNOWLEDGED, Op("pass", number=150)),
]
LIFTED = [Op("register"), Op("storm"), Op("lie"), Op("pass", number=30), Op("open"), Op("close"), Op("late_lie")]


@settings(max_examples=400, deadline=None)
@given(programs)
@example(LIFTED)
@example(ESTIMATED_LATE)
@example(FORMER_LIFE)
@example([*LIFTED, Op("restart"), Op("copy_verdict"), Op("copy_hold"), Op("pass", number=HOLD_SECONDS)])
def test_no_good_token_is_removed_and_every_suspension_ends(program: list[Op]) -> None:
    world = asyncio.run(finished(program))
    rows = world.rows()
    assert world.good().items() <= rows.items()
    assert all(state == "active" for _, state in rows.values())
    for topic in SOURCES:
        if TP(topic, HOME) in world.harness.trackers:
            assert world.harness.committable(topic, HOME) == len(world.harness.kafka.log[topic, HOME])
    assert world.harness.holds_waiting == 0


@settings(max_examples=200, deadline=None)
@given(programs)
def test_copies_of_records_change_nothing(program: list[Op]) -> None:
    assert asyncio.run(finished(program)).rows() == asyncio.run(finished(program, copies=False)).rows()


def test_the_laws_see_a_removal_and_a_rescue() -> None:
    """They would hold for a REGISTER that never removes anything, too."""
    assert asyncio.run(finished(REMOVED_AT_THE_END)).rows() == {}
    assert asyncio.run(finished(LIFTED)).rows() == {"d-0": ("aa" * 32, "active")}
