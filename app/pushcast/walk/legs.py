"""One order in one partition: legs, their cursor, and what a predecessor has planned of it. Pure.

The walk goes through the users in key order. A leg is a stretch of users; when Kafka has all that was planned in it,
one leg record says so, and the newest valid leg record is the cursor. At most two legs are open at a time, and their
records are written in their order.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from pushcast.handover.notes import Positions

#: Below every user.
START: Final = b""
MAX_OPEN_LEGS: Final = 2
_NONE_KEPT: Final[frozenset[str]] = frozenset()
_NOBODY: Final[Mapping[bytes, PlannedDelivery]] = {}


class PlannedDelivery(NamedTuple):
    """A delivery that a predecessor has written. `token_hash`: of the device that it goes to. `platform` empty: the
    keeper has it. `variant`: of a split; empty: there is none."""

    platform: str
    token_hash: bytes
    variant: str = ""


class LegMark(NamedTuple):
    """What a leg record says to a successor. `rows`: tested up to its end; `last`: nothing of the order is left.
    `record`: the whole of it, for what a restated cursor repeats."""

    leg: int
    to_user: bytes
    rows: int
    last: bool
    record: bytes = b""


class OpenLeg:
    """A stretch of users under way. `from_user` is out of it, `to_user` is in it."""

    __slots__ = (
        "ended",
        "found",
        "from_user",
        "held_out",
        "kept",
        "last",
        "left",
        "matched",
        "note",
        "number",
        "planned",
        "reason",
        "rows_before",
        "scanned",
        "to_user",
        "unacked",
        "users",
        "variants",
        "writing",
    )

    def __init__(self, number: int, from_user: bytes, rows_before: int, note: Positions) -> None:
        self.number = number
        self.from_user = self.to_user = from_user
        self.rows_before = rows_before
        self.note = note  # ends of the outputs before anything of it was put
        self.scanned = 0  # rows
        self.matched = 0  # devices of the audience
        self.planned: Counter[str] = Counter()  # deliveries by platform, a predecessor's among them
        self.found = 0  # those of a predecessor
        self.held_out = 0
        self.kept = 0  # records that the keeper has, a predecessor's among them
        self.left: Counter[str] = Counter()  # devices of the app that are not in the audience, by reason
        self.variants: Counter[str] = Counter()
        self.users = 0  # with a delivery
        self.unacked = 0
        self.ended = False
        self.last = False
        self.reason = ""
        self.writing = False

    @property
    def mark(self) -> LegMark:
        """What its record says."""
        return LegMark(self.number, self.to_user, self.rows_before + self.scanned, self.last)


class OrderWalk:
    """One order. `offset`: its record's in the walk topic."""

    def __init__(
        self,
        offset: int,
        there: Mapping[bytes, Mapping[bytes, PlannedDelivery]],
        marks: Iterable[LegMark] = (),
    ) -> None:
        """`there`: by user, deliveries that predecessors wrote, by id; `marks`: of valid leg records."""
        self.offset = offset
        newest = max(marks, default=LegMark(-1, START, 0, False))
        self.cursor = self.front = newest.to_user
        self.finished = newest.last
        self.known = newest.leg >= 0  # a leg record of it is in the log
        self.inherited = newest.record  # the newest of a predecessor's
        self.rows = newest.rows
        self.record_at: int | None = None  # offset of its newest leg record that this process wrote
        self.open: deque[OpenLeg] = deque()
        self._next_leg = newest.leg + 1
        self._there = {user: dict(planned) for user, planned in there.items() if user > self.cursor}

    @property
    def owes(self) -> bool:
        """Whether deliveries of a predecessor are not stated in a leg record yet."""
        return bool(self._there) or any(leg.found for leg in self.open)

    @property
    def may_begin(self) -> bool:
        """Whether one more leg may be opened."""
        return not self.finished and len(self.open) < MAX_OPEN_LEGS and not (self.open and self.open[-1].last)

    def restated(self) -> OpenLeg:
        """An empty leg that says the cursor again, under the epoch of this process."""
        leg = self._new_leg({})
        leg.ended, leg.last, leg.writing = True, self.finished, True
        return leg

    def begin(self, note: Positions) -> OpenLeg:
        """Opens the next leg. `note`: ends of the outputs as they are known before anything of it is put."""
        leg = self._new_leg(note)
        self.open.append(leg)
        return leg

    def _new_leg(self, note: Positions) -> OpenLeg:
        leg = OpenLeg(self._next_leg, self.front, self.rows, note)
        self._next_leg += 1
        return leg

    def there(self, user: bytes) -> Mapping[bytes, PlannedDelivery]:
        """Deliveries of this user that a predecessor has written, by id: they must not be written again."""
        return self._there.get(user, _NOBODY)

    def kept(self, user: bytes) -> frozenset[str]:
        """Variants of which a predecessor has given a record of this user to the keeper, one of each: what of them
        waits was decided then. Of a broadcast without a split the one that has no name."""
        there = self._there.get(user)
        return _NONE_KEPT if there is None else kept_of(there)

    def end(self, leg: OpenLeg, to_user: bytes, *, last: bool = False, reason: str = "") -> None:
        """The leg reaches to this user. What a predecessor wrote within it counts as planned, whether the device is
        still in the audience or not: it was sent."""
        leg.to_user, leg.last, leg.reason, leg.ended = to_user, last, reason, True
        self.front, self.rows = to_user, self.rows + leg.scanned
        for user in [user for user in self._there if last or user <= to_user]:
            found = self._there.pop(user)
            leg.planned.update(planned.platform for planned in found.values() if planned.platform)
            leg.variants.update(planned.variant for planned in found.values() if planned.variant)
            leg.kept += len(kept_of(found))
            leg.found += len(found)

    def to_write(self) -> OpenLeg | None:
        """The leg whose record may be written now: the oldest, when all of it is acknowledged. Ask until None."""
        leg = self.open[0] if self.open else None
        if leg is None or not leg.ended or leg.unacked or leg.writing:
            return None
        leg.writing = True
        return leg

    def written(self, leg: OpenLeg, at: int) -> None:
        """The leg's record is acknowledged; `at`: an end of the log of legs from before it was put."""
        self.record_at, self.known, self.cursor = at, True, leg.to_user
        self.finished = self.finished or leg.last
        if self.open and self.open[0] is leg:
            self.open.popleft()


def kept_of(there: Mapping[bytes, PlannedDelivery]) -> frozenset[str]:
    """Variants of which the keeper has a user's record."""
    return frozenset(planned.variant for planned in there.values() if not planned.platform)
