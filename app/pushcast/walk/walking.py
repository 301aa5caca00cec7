"""Claim, fence and own tail of a walk's partition: the take-over of `handover`, with a cursor in the log of legs. Pure.

Two rules are a walk's own. A new owner writes the inherited cursor again, under its own epoch, before anything else:
the commit's epoch and its position in the log of legs travel together, so the old record would be void to whoever comes
next. And the positions stay at the newest leg record of each order, because that record is the cursor.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from pushcast.handover.rules import ALL, Rules
from pushcast.handover.standing import Standing
from pushcast.handover.state import Outset, Takeover
from pushcast.handover.tail import offset_of
from pushcast.walk.legs import LegMark, OpenLeg, OrderWalk, PlannedDelivery
from pushcast.wire.events.orders import base_log


class WrittenDelivery(NamedTuple):
    """A delivery in a send topic."""

    user: bytes
    delivery_id: bytes
    planned: PlannedDelivery


class WrittenKept(NamedTuple):
    """A record for the keeper, and the deliveries that wait there."""

    user: bytes
    planned: Mapping[bytes, PlannedDelivery]


#: Reads an item of a send topic, and one of the log of legs (`walk.exact` writes both).
ReadItem = Callable[[str, bytes], WrittenDelivery | WrittenKept]
ReadMark = Callable[[bytes], LegMark]


class Walking(Takeover):
    """One partition of the walk topic during one assignment. After `start`, `to_restate` must be written, and
    `restated` told, before an order is walked or a position moves."""

    def __init__(self, outset: Outset, rules: Rules = ALL, *, read_item: ReadItem, read_mark: ReadMark) -> None:
        super().__init__(outset, rules)
        if outset.planned is None:
            raise ValueError("a walk has a log of legs")
        self._legs = outset.planned
        self._rules = rules
        self._read_item = read_item
        self._read_mark = read_mark
        self._walks: dict[int, OrderWalk] = {}
        self._unstated: set[int] = set()
        self._high: list[tuple[int, Mapping[str, int]]] = [(-1, outset.committed.marks)]  # from this offset on

    def start(self) -> None:
        """The tail is folded: what predecessors did of each order is known."""
        super().start()
        for place in list(self.tail.there):
            offset = offset_of(place)
            there: dict[bytes, dict[bytes, PlannedDelivery]] = {}
            marks: list[LegMark] = []
            for topic, items in (self.tail.take(place) or {}).items():
                if topic == self._legs:
                    marks += map(self._read_mark, items)
                    continue
                for item in items:
                    found = self._read_item(topic, item)
                    mine = there.setdefault(found.user, {})
                    if isinstance(found, WrittenKept):
                        mine.update(found.planned)
                    else:
                        mine[found.delivery_id] = found.planned
            self._walks[offset] = OrderWalk(offset, there, marks)
        if self._rules.restate:
            self._unstated = {offset for offset, walk in self._walks.items() if walk.known}

    def to_restate(self) -> list[tuple[OrderWalk, OpenLeg]]:
        """Cursors to be written again, before anything else of this partition."""
        return [(self._walks[offset], self._walks[offset].restated()) for offset in sorted(self._unstated)]

    def restated(self, walk: OrderWalk, leg: OpenLeg, at: int) -> None:
        """One of them is acknowledged."""
        walk.written(leg, at)
        self._unstated.discard(walk.offset)

    def walk(self, offset: int) -> OrderWalk:
        """The state of an order; as at its beginning when nobody has begun it."""
        walk = self._walks.get(offset)
        if walk is None:
            walk = self._walks[offset] = OrderWalk(offset, {})
        return walk

    def positions(self) -> Mapping[str, int]:
        """Ends of the outputs as they are known now: the note of a leg that is about to begin."""
        return dict(self._ends)

    # which orders are copies

    def is_copy(self, offset: int, intake_id: str, intake_offset: int) -> bool:
        """Whether an order was taken before: its intake offset is not above all of its log so far. Remembers it."""
        high = self._high[-1][1]
        if intake_id in high and intake_offset <= high[intake_id]:
            return True
        log = base_log(intake_id)
        kept = {each: mark for each, mark in high.items() if base_log(each) == log}
        self._high.append((offset, {**kept, intake_id: intake_offset}))
        return False

    def is_new_intake(self, intake_id: str) -> bool:
        """Whether orders came from another log until now: the intake topic was made anew."""
        high = self._high[-1][1]
        return bool(high) and base_log(intake_id) not in map(base_log, high)

    def _high_below(self, offset: int) -> Mapping[str, int]:
        """Of the orders that a successor will not read again."""
        while len(self._high) > 1 and self._high[1][0] < offset:
            del self._high[0]
        return self._high[0][1]

    # what a commit carries

    @property
    def _inherits(self) -> bool:
        if not self.started or self._unstated:
            return True
        return self._rules.inherit and any(walk.owes for walk in self._walks.values())

    def note(self, first: int, last: int) -> None:
        """Nothing: a leg notes its own positions."""

    def standing(self, offset: int, origins: Mapping[str, int] | None = None) -> Standing:
        """What a commit of `offset` carries: orders below it are finished."""
        for done in [done for done in self._walks if done < offset]:
            del self._walks[done]
        marks = self._high_below(offset)
        if self._inherits:
            return Standing(self.epoch, self._inherited_fenced, self.starts, origins or {}, marks=marks)
        positions = dict(self._ends)
        for walk in self._walks.values():
            if walk.open and self._rules.note:
                for topic, at in walk.open[0].note.items():
                    if topic != self._legs:
                        positions[topic] = min(positions[topic], at)
            if walk.record_at is not None and self._rules.cursor:
                positions[self._legs] = min(positions[self._legs], walk.record_at)
        return Standing(self.epoch, self.epoch, positions, origins or {}, marks=marks)
