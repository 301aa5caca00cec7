"""What WALK holds of one partition while it owns it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from pushcast.handover.fences import Fences
from pushcast.stream.batch import TP, Batch
from pushcast.stream.runner import Runner
from pushcast.stream.table import Row
from pushcast.stream.tenure import Pending
from pushcast.walk.ahead import Ahead
from pushcast.walk.course import Course
from pushcast.walk.legs import OpenLeg, OrderWalk
from pushcast.walk.pace import OrderPacer, PartitionRates
from pushcast.walk.walking import Walking
from pushcast.wire.events.orders import Order


class Underway:
    """An order that is walked, or waits for its turn."""

    def __init__(
        self, walk: OrderWalk, order: Order, course: Course | None, batch: Batch, now: float, pacer: OrderPacer | None
    ) -> None:
        """`course` None: nothing can be planned of it, `ends_with` says why."""
        self.walk = walk
        self.order = order
        self.course = course
        self.batch = batch
        self.leg: OpenLeg | None = None  # the one that rows go to
        self.pacer = pacer
        self.ends_with = order.reason  # why nothing more is planned of it
        self.table_end: int | None = None  # the devices topic's end, asked before the first slice; None: not yet
        self.rows = 0  # of the partition, about; 0: not known yet
        self.leg_began = now
        self.said_at = now  # when its cursor was last written

    @property
    def offset(self) -> int:
        """Of its record."""
        return self.walk.offset

    @property
    def place(self) -> bytes:
        """The last user that it has passed."""
        return self.walk.front if self.leg is None else self.leg.to_user


class ReadRows(NamedTuple):
    """Rows that one of several walks has read. `after`: the user that they come behind; `at`: position of the table."""

    after: bytes
    at: int
    rows: list[Row]
    at_end: bool


class WalkTenure:
    """Orders of one partition during one assignment, oldest first."""

    def __init__(
        self,
        tp: TP,
        walking: Walking,
        fences: Fences,
        ahead: Ahead,
        rates: PartitionRates,
        slice_rows: int,
        runner: Callable[[WalkTenure], Runner],
    ) -> None:
        self.tp = tp
        self.number = tp.partition
        self.walking = walking
        self.fences = fences
        self.ahead = ahead
        self.rates = rates
        self.orders: list[Underway] = []
        self.slice_rows = slice_rows  # what a slice takes now; it follows how long slices last
        self.read: ReadRows | None = None  # the newest, while several walks are open
        self.pending = Pending()  # outputs that Kafka has not acknowledged
        self.closed = False
        self._turn = 0
        self.runner = runner(self)

    def turns(self, max_open: int) -> Iterator[Underway]:
        """Orders that may be walked now, each time from the next one on."""
        opened = self.orders[:max_open]
        self._turn += 1
        for place in range(len(opened)):
            yield opened[(self._turn + place) % len(opened)]

    def close(self) -> None:
        """No slice begins any more: the next owner goes on from the cursor."""
        self.closed = True
        self.runner.stop()
