"""Orders as a lane's planners take them: which are void, copies or broken, and what each of the others needs to go on.

Nothing here waits: callers await the outbox's room first.
"""

from __future__ import annotations

import logging
from functools import partial

from pushcast.handover.fences import author_of
from pushcast.model.broadcast import NO_PACE, Broadcast
from pushcast.model.clock import Clock
from pushcast.model.errors import InvalidInput
from pushcast.stream.batch import Batch, Record
from pushcast.stream.edge import Count, Edge
from pushcast.walk.courses import Courses
from pushcast.walk.pace import OrderPacer
from pushcast.walk.tenure import Underway, WalkTenure
from pushcast.wire.events.orders import Order, began_at, decode_order, sampled

logger = logging.getLogger(__name__)


class OrderIntake:
    """Of one lane; what it keeps of an order is in the partition's tenure."""

    def __init__(self, name: str, clock: Clock, edge: Edge, count: Count, courses: Courses, partitions: int) -> None:
        """`name`: the stage's, in what is logged. `partitions`: of the cluster."""
        self._name = name
        self._clock = clock
        self._edge = edge
        self._count = count
        self._courses = courses
        self._partitions = partitions

    def take(self, tenure: WalkTenure, batch: Batch, record: Record) -> None:
        """The order is under way then, or it is done."""
        done = partial(batch.done_many, (record.offset,))
        try:
            author = author_of(record.headers)
            if not tenure.fences.admit(author, record.offset):
                if author is not None and not author.fence:
                    self._count("void_orders", "", 1)
                done()
                return
            order = decode_order(record.value or b"")
        except Exception as error:  # whatever decoding raises: no record ends the process
            refusal = self._edge.refusal(record, error)
            self._edge.note(tenure.tp, 0, (refusal,))
            self._edge.bury(record, refusal, done)
            return
        if tenure.walking.is_new_intake(order.intake_id):
            logger.warning("%s: orders come from another broadcast topic: %s", self._name, order.intake_id)
        if tenure.walking.is_copy(record.offset, order.intake_id, order.intake_offset):
            self._count("void_orders", "", 1)
            done()
            return
        walk = tenure.walking.walk(record.offset)
        if walk.finished:
            done()
            return
        tenure.orders.append(self._underway(tenure, batch, record, order))

    def _underway(self, tenure: WalkTenure, batch: Batch, record: Record, order: Order) -> Underway:
        walk, now = tenure.walking.walk(record.offset), self._clock.monotonic_seconds()
        try:
            broadcast = self._courses.broadcast_of(order)
        except InvalidInput as error:
            # The settler took it: this process knows other apps or classes. The broadcast must end all the same.
            self._edge.bury(record, error, lambda: None)
            refused = Underway(walk, order, None, batch, now, None)
            refused.ends_with = order.reason or error.reason
            return refused
        in_one = broadcast.quick or broadcast.via is not None
        if in_one and tenure.number != sampled(order.broadcast, self._partitions):
            return Underway(walk, order, None, batch, now, None)
        course = self._courses.of(walk, order, broadcast)
        return Underway(walk, order, course, batch, now, self._pacer(tenure, order, broadcast, now))

    def _pacer(self, tenure: WalkTenure, order: Order, broadcast: Broadcast, now: float) -> OrderPacer | None:
        """None: nothing holds it back."""
        note = broadcast.note
        rate = tenure.rates.of(note.campaign, note.klass, note.app)
        if order.count_only or (broadcast.pace is None and rate is None):
            return None
        pace, partitions = broadcast.pace or NO_PACE, self._partitions
        return OrderPacer(pace, partitions, began=began_at(order) / 1000, since=now, rate=rate)
