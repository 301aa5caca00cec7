"""The law of REGISTER's hand-over: whatever processes come and go, stop and wake, and however late their writes land,
the devices topic holds in the end what the events say, for a reader too who knows nothing of fences.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from laws.test_register import HOME, Event, Row, as_record, changes, oracle, rows_of
from pushcast.handover import standing
from pushcast.handover.claims import ClaimRefused
from pushcast.handover.guard import RowGuard
from pushcast.handover.healing import Healing
from pushcast.register.names import STAGE
from pushcast.stream.batch import TP
from pushcast.stream.tracker import Tracker
from pushcast.wire.devices.row_fences import KEYS, epoch_of, is_row
from pushcast.wire.topics import DEVICE, DEVICE_CHANGED
from twins.kafka import settled
from unit.register.twin import OPEN, T0, Harness, TwinKafka

SOURCE = TP(DEVICE_CHANGED, HOME)


class Op(NamedTuple):
    name: str
    who: int = 0  # which of the processes that live
    count: int = 1  # type: ignore[assignment]  # a tuple has a method of this name
    event: Event | None = None


ops = st.one_of(
    st.builds(Op, st.just("event"), event=changes),
    st.builds(Op, st.just("event"), event=changes),
    st.builds(Op, st.just("deliver")),
    st.builds(Op, st.sampled_from(["acknowledge", "apply"]), st.integers(0, 3), st.integers(1, 4)),
    st.builds(Op, st.sampled_from(["take_over", "take_over_blind", "die", "late_handle"]), st.integers(0, 3)),
)


class World:
    """One partition, one owner, any number of processes that were owners."""

    def __init__(self) -> None:
        self.kafka_log = TwinKafka().log
        self.events: list[Event] = []
        self.living: list[Harness] = []
        self.committed, self.metadata = 0, ""

    @property
    def owner(self) -> Harness:
        return self.living[-1]

    async def run(self, program: Sequence[Op]) -> None:
        await self._take_over(Op("take_over"))
        for op in program:
            await getattr(self, f"_{op.name}")(op)
            await settled()
            self._commit()
        await self._take_over(Op("take_over"))
        for _ in range(3):
            await self._deliver(Op("deliver"))
            for process in self.living:
                process.kafka.acknowledge()
                await settled()
            self.owner.kafka.tail(HOME)
            await settled()
        self._commit()
        assert not any(process.failures for process in self.living)

    async def _event(self, op: Op) -> None:
        assert op.event is not None
        self.events.append(op.event)

    async def _deliver(self, _: Op) -> None:
        await self._handle(self.owner)

    async def _late_handle(self, op: Op) -> None:
        """A process that does not know yet that it is no longer the owner goes on with what it has fetched."""
        await self._handle(self._who(op))

    async def _handle(self, process: Harness) -> None:
        seen = process.next_offset(DEVICE_CHANGED, HOME)
        records = [as_record(event, seen + number) for number, event in enumerate(self.events[seen:])]
        if records:
            await process.stage.handle(process.batch(records))

    async def _acknowledge(self, op: Op) -> None:
        self._who(op).kafka.acknowledge(op.count)

    async def _apply(self, op: Op) -> None:
        self._who(op).kafka.tail(HOME, op.count)

    async def _die(self, op: Op) -> None:
        """A former owner ends, with all that it had not yet written."""
        if len(self.living) > 1:
            self.living.remove(self.living[op.who % (len(self.living) - 1)])

    async def _take_over(self, _: Op) -> None:
        await self._claim(self.metadata)

    async def _take_over_blind(self, _: Op) -> None:
        """The commit's metadata is lost: an operator has set the offset."""
        await self._claim("")

    async def _claim(self, metadata: str) -> None:
        heir = Harness(TwinKafka(acks=False, log=self.kafka_log))
        heir.trackers[SOURCE] = Tracker(self.committed, OPEN)
        self.living.append(heir)
        heir.kafka.tail(HOME)  # tables are recovered before a stage is assigned
        while True:
            try:
                return await heir.take_over(HOME, metadata)
            except ClaimRefused:
                continue  # as the transport does: a fence landed meanwhile

    def _commit(self) -> None:
        """Only the owner's commits are taken."""
        low = self.owner.committable(DEVICE_CHANGED, HOME)
        if low > self.committed:
            self.committed, self.metadata = low, self.owner.stage.commit_metadata(SOURCE, low)

    def _who(self, op: Op) -> Harness:
        return self.living[op.who % len(self.living)]

    def rows(self) -> dict[tuple[str, str], Row]:
        return rows_of(self.owner.kafka)


def event(op: str, token: str = "aa" * 32, before: int = 5) -> Op:
    return Op("event", event=Event(op, "user-1", "d-1", T0 - before, token, None, None))


#: The row `bb` of a process that was stopped lands after its heir has removed the device.
LATE = [
    *(event("register"), Op("deliver"), Op("acknowledge", count=4), event("register", "bb" * 32, 4), Op("deliver")),
    *(Op("take_over"), event("unregister", before=3), Op("deliver"), Op("acknowledge", 1, 4)),
]


async def finished(program: Sequence[Op]) -> World:
    world = World()
    await world.run(program)
    return world


@settings(max_examples=200, deadline=None)
@given(st.lists(ops, max_size=40))
@example(LATE)
def test_the_log_holds_what_the_events_say(program: list[Op]) -> None:
    world = asyncio.run(finished(program))
    expected = oracle(world.events)
    assert world.rows() == expected
    known = {key: value for key, value in world.owner.kafka.rows[HOME].items() if is_row(key)}
    assert known == world.owner.kafka.compacted(HOME)
    assert world.owner.kafka.void(HOME) == {}
    assert world.committed == len(world.events)
    origin = f"{STAGE}/{HOME}"
    log = world.kafka_log[DEVICE, HOME]
    for key in KEYS:
        epochs = [epoch_of(key, each.value, origin) or 0 for each in log if each.key == key]
        assert standing.decode(world.metadata or "").epoch <= max(epochs)


@pytest.mark.parametrize("rule", ["guard", "heal"])
def test_without_a_rule_a_late_row_stays(rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if rule == "guard":
        look = RowGuard._is_void
        monkeypatch.setattr(RowGuard, "_is_void", lambda *arguments: look(*arguments) and False)
    else:
        monkeypatch.setattr(Healing, "_wait", lambda *_: None)
    world = asyncio.run(finished(LATE))
    assert world.rows() != oracle(world.events)
