"""Broadcasts of before over the devices of now, with nothing but memory behind them: part of a rehearsal.

Each partition's orders are in the log as they were then: segments resolved, steps decided, instants come. They take
the way of a walk, by its own code: at their pace, and as holds and stops of then let them. Senders are never behind.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, NamedTuple, cast

from pushcast.config.settings import Settings
from pushcast.model.broadcast import NO_PACE
from pushcast.model.clock import Clock
from pushcast.model.errors import InvalidInput
from pushcast.model.words import Lane, Reason
from pushcast.stream.table import Row
from pushcast.walk.batches import FullBatch
from pushcast.walk.course import Course
from pushcast.walk.courses import Courses
from pushcast.walk.holding import KeptPart
from pushcast.walk.legs import OpenLeg, OrderWalk
from pushcast.walk.pace import OrderPacer, PartitionRates
from pushcast.walk.tenure import Underway
from pushcast.walk.waits import WalkWaits
from pushcast.wire.control.control_state import ControlState
from pushcast.wire.events.orders import began_at, decode_order, steps_of

#: A walk that waits for its pace waits for so long at least: what has become due by then goes in one slice.
STEP_SECONDS: Final = 1.0


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
    that end otherwise than by leaving; `broadcast_stopped`, or `expired` on the way, are those that it had not reached.
    `waits`: users for whom the keeper held it up, by reason. `lasted_seconds`: of its walk, which a pace or a hold
    makes longer."""

    sent: int = 0
    held_out: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    waits: Counter[str] = field(default_factory=Counter)
    lasted_seconds: float = 0.0

    def add(self, other: BroadcastFate) -> None:
        """The same broadcast in another partition, or another step of it."""
        self.sent += other.sent
        self.held_out += other.held_out
        self.ends.update(other.ends)
        self.waits.update(other.waits)
        self.lasted_seconds = max(self.lasted_seconds, other.lasted_seconds)


class Walked(NamedTuple):
    """A slice of one order. `fate`: what became of all of it, at its end. `batches` leave now, `kept` goes to the
    keeper; `offset`: the order's."""

    name: BroadcastName
    offset: int
    fate: BroadcastFate
    batches: Sequence[FullBatch] = ()
    kept: Sequence[KeptPart] = ()


class LeftOut(NamedTuple):
    """A broadcast that is not rehearsed. `devices`: of its audience in this partition, where anybody can tell."""

    name: BroadcastName
    why: NotRehearsed
    devices: int = 0


class _Ahead:
    """Senders have always come up."""

    def holds(self, _: float) -> bool:
        return False

    def all_gone(self, _: float) -> bool:
        return False


class _Tenure:
    ahead = _Ahead()


_TENURE: Final = cast(Any, _Tenure())


@dataclass(slots=True)
class _OpenWalk:
    """`passed`: rows behind it. `began_ms`: when its order came."""

    lane: Lane
    name: BroadcastName
    order: Underway
    course: Course
    leg: OpenLeg
    began_ms: int
    passed: int = 0


class RehearsedWalks:
    """Of one partition, over all lanes. `rows`: of its users, by user, in the order of their keys."""

    def __init__(
        self,
        settings: Settings,
        rows: Mapping[str, Sequence[Row]],
        clock: Clock,
        control: ControlState,
        until_ms: int | None = None,
    ) -> None:
        """`control`: with the stops and holds of now. `until_ms`: instants behind it have not come; None: all have."""
        self._rows = [row for mine in rows.values() for row in mine]
        self._until_ms = until_ms
        self._clock = clock
        self._control = control
        self._courses = {lane: Courses(settings, lane, clock.now_ms) for lane in Lane}
        self._partitions = settings.kafka.partitions
        self._rates = {lane: PartitionRates(each.rates, self._partitions) for lane, each in self._courses.items()}
        self._waits = WalkWaits(settings.broadcast, cast(Any, None), control, clock)  # no table is behind
        self._orders: dict[tuple[Lane, int], bytes] = {}
        self._known: set[tuple[Lane, str, int]] = set()
        self._open: list[_OpenWalk] = []

    async def read(self, lane: Lane, partition: int, offset: int) -> bytes | None:
        """See `plan.contents.ReadOrder`."""
        return self._orders.get((lane, offset))

    def take(self, lane: Lane, offset: int, value: bytes) -> Walked | LeftOut | None:
        """What becomes of a record of the walk topic. None: `walk` will say, or nothing is to be planned of it."""
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
        courses = self._courses[lane]
        try:
            broadcast = courses.broadcast_of(order)
        except InvalidInput as error:
            return Walked(name, offset, BroadcastFate(ends=Counter({f"dead_letter {error.reason}": 1})))
        if broadcast.via is not None:
            return LeftOut(name, NotRehearsed.PROVIDER_FAN_OUT)
        self._orders[lane, offset] = value
        walk = OrderWalk(offset, {})
        course, leg = courses.of(walk, order, broadcast), walk.begin({})
        if broadcast.not_to is not None:
            _count(course, leg, self._rows)
            return LeftOut(name, NotRehearsed.NOT_TO, leg.matched)
        now = self._clock.monotonic_seconds()
        note = broadcast.note
        rate = self._rates[lane].of(note.campaign, note.klass, note.app)
        pacer = None
        if broadcast.pace is not None or rate is not None:
            pace, began = broadcast.pace or NO_PACE, began_at(order) / 1000
            pacer = OrderPacer(pace, self._partitions, began=began, since=now, rate=rate)
            pacer.rows = len(self._rows)
        underway = Underway(walk, order, course, cast(Any, None), now, pacer)
        underway.leg = leg
        self._open.append(_OpenWalk(lane, name, underway, course, leg, self._clock.now_ms()))
        return None

    def due_in(self) -> float | None:
        """Seconds until one of them goes on; 0: now; None: none is open. One that is held goes on when it expires,
        unless control says otherwise before."""
        return min(map(self._wait, self._open), default=None)

    def _wait(self, each: _OpenWalk) -> float:
        if self._waits.ending(each.order):
            return 0.0
        if each.order.order.broadcast in self._control.holds:
            return max(0.0, (each.course.broadcast.note.expires_at - self._clock.now_ms()) / 1000)
        wait = self._waits.seconds(_TENURE, each.order, self._clock.monotonic_seconds())
        return max(wait, STEP_SECONDS) if wait else 0.0

    def walk(self) -> list[Walked]:
        """One slice of each that may go on now."""
        found: list[Walked] = []
        for each in [each for each in self._open if not self._wait(each)]:
            ends_with = self._waits.ending(each.order)
            batches = [] if ends_with else self._slice(each)
            fate = BroadcastFate()
            if ends_with or each.passed == len(self._rows):
                self._open.remove(each)
                fate = self._ended(each, ends_with)
            found.append(Walked(each.name, each.order.offset, fate, batches, each.course.take_kept()))
        return found

    def _slice(self, each: _OpenWalk) -> list[FullBatch]:
        limit, pacer = len(self._rows), each.order.pacer
        if pacer is not None:
            now = self._clock.monotonic_seconds()
            limit = pacer.rows_at_most(limit, each.leg.scanned, self._clock.now_ms() / 1000, now)
        end, before = self._end_of_users(each.passed, limit), each.leg.planned.total()
        batches = [*each.course.take(each.leg, self._rows[each.passed : end]), *each.course.close_all()]
        each.passed = end
        if pacer is not None:
            pacer.planned(each.leg.planned.total() - before)
        return batches

    def _end_of_users(self, start: int, limit: int) -> int:
        """The rows of whole users, of one at least."""
        end = min(len(self._rows), start + limit)
        while 0 < end < len(self._rows) and _user(self._rows[end]) == _user(self._rows[end - 1]):
            end += 1
        return end

    def _ended(self, each: _OpenWalk, ends_with: str) -> BroadcastFate:
        leg, ends = each.leg, each.leg.left.copy()
        if ends_with:
            walk = OrderWalk(each.order.offset, {})
            rest = walk.begin({})
            course = self._courses[each.lane].of(walk, each.order.order, each.course.broadcast)
            _count(course, rest, self._rows[each.passed :])
            ends[ends_with] += rest.matched - rest.left.total() - rest.held_out
        lasted = (self._clock.now_ms() - each.began_ms) / 1000
        return BroadcastFate(leg.planned.total(), leg.held_out, ends, lasted_seconds=lasted)


def _user(row: Row) -> bytes:
    return row[0].partition(b"\0")[0]


def _count(course: Course, leg: OpenLeg, rows: Sequence[Row]) -> None:
    """Who would have got it: nothing of it leaves."""
    for _ in course.take(leg, rows):
        pass
