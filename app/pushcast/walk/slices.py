"""A slice of a walk: the next rows of a partition, tested and planned, and the end of a leg."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable
from operator import itemgetter

from pushcast.config.stages import Broadcast as Limits
from pushcast.model.clock import Clock
from pushcast.stream.table import Row, Table
from pushcast.walk.course import Course
from pushcast.walk.legs import START, OpenLeg
from pushcast.walk.outputs import WalkOutputs
from pushcast.walk.tenure import ReadRows, Underway, WalkTenure
from pushcast.walk.waits import WalkWaits


class Slices:
    """One lane's. Nothing here blocks: callers await the outbox's room first."""

    def __init__(
        self,
        limits: Limits,
        table: Table,
        outputs: WalkOutputs,
        waits: WalkWaits,
        clock: Clock,
        cpu_seconds: Callable[[], float],
    ) -> None:
        """`cpu_seconds`: what this thread has used. Slices are measured by it: where others take the core, a slice
        lasts longer by the clock, and smaller ones would only cost more for each row."""
        self._limits = limits
        self._table = table
        self._outputs = outputs
        self._waits = waits
        self._clock = clock
        self._cpu_seconds = cpu_seconds

    def take(self, tenure: WalkTenure, order: Underway, now: float) -> None:
        """One slice of an order that is not blocked; the end of its leg, or its cursor again, when it waits or ends."""
        walk, ends_with = order.walk, self._waits.ending(order)
        if not ends_with and self._waits.seconds(tenure, order, now):
            if order.leg is not None:
                self._end_leg(tenure, order, order.leg, last=False)
            elif not walk.open and walk.known:
                order.said_at = now
                self._outputs.cursor(tenure, order)
            return
        if order.leg is None:
            order.leg, order.leg_began = walk.begin(self._outputs.positions(tenure)), now
        if ends_with or order.course is None:
            self._end_leg(tenure, order, order.leg, last=True, reason=ends_with)
        else:
            self._test_rows(tenure, order, order.course, order.leg, now)

    def _test_rows(self, tenure: WalkTenure, order: Underway, course: Course, leg: OpenLeg, now: float) -> None:
        limits = self._limits
        limit = tenure.slice_rows
        if order.pacer is not None:
            scanned = order.walk.rows + leg.scanned
            limit = order.pacer.rows_at_most(limit, scanned, self._clock.now_ms() / 1000, now)
        began = self._cpu_seconds()
        rows, at_end = self._rows(tenure, leg.to_user, limit) if course.looks_at_rows else ([], True)
        before = leg.planned.total()
        for full in course.take(leg, rows):
            self._outputs.batch(tenure, order, leg, full)
        self._outputs.keep(tenure, order, leg, course.take_kept())
        if order.pacer is not None:
            order.pacer.planned(leg.planned.total() - before)
        used = self._cpu_seconds() - began
        if used > 0 and limit == tenure.slice_rows:
            fitting = max(16, max(1, len(rows)) * limits.slice_seconds / used)
            tenure.slice_rows = round(min(limits.slice_rows, 2 * tenure.slice_rows, fitting))
        is_full = leg.planned.total() + leg.kept >= limits.leg_targets
        if at_end or is_full or self._clock.monotonic_seconds() - order.leg_began >= limits.leg_seconds:
            self._end_leg(tenure, order, leg, last=at_end)

    def _rows(self, tenure: WalkTenure, after: bytes, limit: int) -> tuple[list[Row], bool]:
        """The next rows of whole users, and whether they are the last ones. Walks that are at one place read them once,
        as long as no row has changed, and stay together, because they take turns. A slice ends where another walk
        stands, so that a walk that catches up comes to that very place."""
        if len(tenure.orders) < 2:
            tenure.read = None
            return self._read(tenure, after, limit)
        at = self._table.position(tenure.number)
        read = tenure.read
        is_paced = limit < tenure.slice_rows
        if read is None or (read.after, read.at) != (after, at) or (is_paced and len(read.rows) > limit):
            rows, at_end = self._read(tenure, after, limit)
            met = rows_until(rows, (each.place for each in tenure.orders))
            read = tenure.read = ReadRows(after, at, met, at_end and len(met) == len(rows))
        return read.rows, read.at_end

    def _read(self, tenure: WalkTenure, after: bytes, limit: int) -> tuple[list[Row], bool]:
        key = after + b"\0\xff" if after else START
        while True:
            rows = self._table.rows_after(tenure.number, key, limit)
            if len(rows) < limit:
                return rows, True
            last = rows[-1][0].partition(b"\0")[0] + b"\0"
            while rows and rows[-1][0].startswith(last):
                rows.pop()
            if rows:
                return rows, False
            limit *= 4  # one user has more rows than a slice

    def _end_leg(self, tenure: WalkTenure, order: Underway, leg: OpenLeg, *, last: bool, reason: str = "") -> None:
        if order.course is not None:
            for full in order.course.close_all():
                self._outputs.batch(tenure, order, leg, full)
        order.walk.end(leg, leg.to_user, last=last, reason=reason)
        order.leg = None
        self._outputs.legs(tenure, order)


def rows_until(rows: list[Row], places: Iterable[bytes]) -> list[Row]:
    """The rows up to the first of these users who has a row before the last one; all of them when there is none."""
    if not rows:
        return rows
    first, last = (rows[at][0].partition(b"\0")[0] for at in (0, -1))
    place = min((place for place in places if first <= place < last), default=None)
    if place is None:
        return rows
    return rows[: bisect_left(rows, place + b"\0\xff", key=itemgetter(0))]
