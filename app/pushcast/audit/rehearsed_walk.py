"""Broadcasts of before over the devices of now, with nothing but memory behind them: part of a rehearsal.

Each partition's orders are in the log as they were then: segments resolved, steps decided, instants come. They take
the way of a walk, by its own code; only pace, holds and stops are left out, because the log does not have them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from pushcast.config.settings import Settings
from pushcast.model.clock import Clock
from pushcast.model.errors import InvalidInput
from pushcast.model.words import Lane, Reason
from pushcast.stream.table import Row
from pushcast.walk.batches import FullBatch
from pushcast.walk.courses import Courses
from pushcast.walk.holding import KeptPart
from pushcast.walk.legs import OrderWalk
from pushcast.wire.events.orders import decode_order, steps_of


class NotRehearsed(StrEnum):
    """Why a broadcast is not in a rehearsal."""

    NOT_TO = "not_to"  # it left out who had an earlier one, which no rehearsal knows
    PROVIDER_FAN_OUT = "provider_fan_out"  # the provider knew who was meant
    NOT_DUE = "not_due"  # instants of it are still to come
    UNREADABLE = "unreadable"  # of another release


class BroadcastName(NamedTuple):
    """A broadcast id is one in its lane."""

    lane: str
    broadcast: str


@dataclass(slots=True)
class BroadcastFate:
    """What becomes of one broadcast in one partition. `ends`: of devices that match and get nothing, and of deliveries
    that end otherwise than by leaving. `waits`: users for whom the keeper held it up, by reason."""

    sent: int = 0
    held_out: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    waits: Counter[str] = field(default_factory=Counter)

    def add(self, other: BroadcastFate) -> None:
        """The same broadcast in another partition, or another step of it."""
        self.sent += other.sent
        self.held_out += other.held_out
        self.ends.update(other.ends)
        self.waits.update(other.waits)


class Walked(NamedTuple):
    """One order at its end. `batches` leave now, `kept` goes to the keeper."""

    name: BroadcastName
    fate: BroadcastFate
    batches: Sequence[FullBatch] = ()
    kept: Sequence[KeptPart] = ()


class LeftOut(NamedTuple):
    """A broadcast that is not rehearsed. `devices`: of its audience in this partition, where anybody can tell."""

    name: BroadcastName
    why: NotRehearsed
    devices: int = 0


class RehearsedWalks:
    """Of one partition, over all lanes. `rows`: of its users, by user, in the order of their keys."""

    def __init__(
        self, settings: Settings, rows: Mapping[str, Sequence[Row]], clock: Clock, until_ms: int | None = None
    ) -> None:
        """`until_ms`: instants behind it have not come; None: all have."""
        self._rows = [row for mine in rows.values() for row in mine]
        self._until_ms = until_ms
        self._courses = {lane: Courses(settings, lane, clock.now_ms) for lane in Lane}
        self._orders: dict[tuple[Lane, int], bytes] = {}
        self._known: set[tuple[Lane, str, int]] = set()

    async def read(self, lane: Lane, partition: int, offset: int) -> bytes | None:
        """See `plan.contents.ReadOrder`."""
        return self._orders.get((lane, offset))

    def take(self, lane: Lane, offset: int, value: bytes) -> Walked | LeftOut | None:
        """What becomes of a record of the walk topic. None: nothing is to be planned of it."""
        try:
            order = decode_order(value)
            steps = steps_of(order)
        except (InvalidInput, ValueError):
            return LeftOut(BroadcastName(lane, f"@{offset}"), NotRehearsed.UNREADABLE)
        name, place = BroadcastName(lane, order.broadcast), (lane, order.intake_id, order.intake_offset)
        if place in self._known or order.count_only:
            return None
        self._known.add(place)
        if order.reason:
            last = max((instant.at for instant in steps.instants), default=0)
            waits = order.reason == Reason.SCHEDULED and self._until_ms is not None and last > self._until_ms
            return LeftOut(name, NotRehearsed.NOT_DUE) if waits else None
        try:
            broadcast = self._courses[lane].broadcast_of(order)
        except InvalidInput as error:
            return Walked(name, BroadcastFate(ends=Counter({f"dead_letter {error.reason}": 1})))
        if broadcast.via is not None:
            return LeftOut(name, NotRehearsed.PROVIDER_FAN_OUT)
        self._orders[lane, offset] = value
        walk = OrderWalk(offset, {})
        course, leg = self._courses[lane].of(walk, order, broadcast), walk.begin({})
        batches = [*course.take(leg, self._rows), *course.close_all()]
        if broadcast.not_to is not None:
            return LeftOut(name, NotRehearsed.NOT_TO, leg.matched)
        fate = BroadcastFate(sent=leg.planned.total(), held_out=leg.held_out, ends=leg.left.copy())
        return Walked(name, fate, batches, course.take_kept())
