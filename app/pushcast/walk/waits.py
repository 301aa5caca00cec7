"""When an order may be walked on, and when nothing more is to be planned of it. No I/O."""

from __future__ import annotations

from typing import Final

from pushcast.config.stages import Broadcast as Limits
from pushcast.model.clock import Clock
from pushcast.model.words import Reason
from pushcast.stream.table import Table
from pushcast.walk.tenure import Underway, WalkTenure
from pushcast.wire.control.control_state import ControlState

#: How often a walk that waits for others looks again.
LOOK_SECONDS: Final = 0.25
#: How long it waits for the devices table to come up to the order.
TABLE_SECONDS: Final = 0.02


class WalkWaits:
    """One lane's. A walk waits while it is held or ahead of its pace, and while the senders have too much of it."""

    def __init__(self, limits: Limits, table: Table, control: ControlState, clock: Clock) -> None:
        self._limits = limits
        self._table = table
        self._control = control
        self._clock = clock

    def ending(self, order: Underway) -> str:
        """Why nothing more is planned of it; empty: it goes on."""
        if order.ends_with:
            return order.ends_with
        if order.order.broadcast in self._control.stops and not order.order.count_only:
            return Reason.BROADCAST_STOPPED
        if order.course is not None and order.course.broadcast.note.expires_at <= self._clock.now_ms():
            return Reason.EXPIRED
        return ""

    def blocked(self, tenure: WalkTenure, order: Underway) -> float | None:
        """Seconds until this order may be looked at again: 0 now, None when an acknowledgement will say."""
        walk, leg = order.walk, order.leg
        if walk.finished or (leg is None and not walk.may_begin):
            return None
        if self.ending(order):
            return 0.0
        now = self._clock.monotonic_seconds()
        wait = self.seconds(tenure, order, now)
        if not wait:
            return 0.0
        if leg is not None and now - order.leg_began >= self._limits.leg_seconds:
            return 0.0  # what it holds is written, though it waits
        if not walk.open and walk.known and now - order.said_at >= self._limits.restate_seconds:
            return 0.0
        return min(wait, LOOK_SECONDS)

    def seconds(self, tenure: WalkTenure, order: Underway, now: float) -> float:
        """For which rows must wait; 0: none."""
        if order.table_end is not None and self._table.position(tenure.number) < order.table_end:
            return TABLE_SECONDS
        if order.order.count_only:
            return 0.0
        if order.order.broadcast in self._control.holds or self.too_far_ahead(tenure, now):
            return LOOK_SECONDS
        if order.pacer is not None:
            scanned = order.walk.rows + (0 if order.leg is None else order.leg.scanned)
            return order.pacer.wait_seconds(scanned, self._clock.now_ms() / 1000, now)
        return 0.0

    @staticmethod
    def too_far_ahead(tenure: WalkTenure, now: float) -> bool:
        """Whether the senders have to come up first."""
        return bool(tenure.ahead.holds(now)) or tenure.ahead.all_gone(now)
