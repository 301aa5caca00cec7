"""What WALK writes, and what its acknowledgements complete.

A leg's record is written when all of its batches are acknowledged, and an order is done when its last leg's record is.
Callers await the outbox's room first; nothing here blocks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial

import msgspec

from pushcast.handover.exact import Exactness
from pushcast.model.clock import Clock
from pushcast.model.words import Lane, Platform
from pushcast.stream.callbacks import Guarded
from pushcast.stream.edge import Count
from pushcast.stream.ports import Barrier, PositionedOutbox
from pushcast.walk.ahead import KEEPER
from pushcast.walk.batches import FullBatch
from pushcast.walk.holding import KeptPart
from pushcast.walk.legs import OpenLeg, OrderWalk
from pushcast.walk.tenure import Underway, WalkTenure
from pushcast.wire import topics
from pushcast.wire.answers.legs import Leg, decode_leg, encode_leg, leg_headers
from pushcast.wire.events.orders import began_at, steps_of
from pushcast.wire.waiting.held import held_headers


class WalkOutputs:
    """One lane's writer."""

    def __init__(
        self, outbox: PositionedOutbox, lane: Lane, clock: Clock, exact: Exactness, count: Count, guarded: Guarded
    ) -> None:
        self._outbox = outbox
        self._lane = lane
        self._clock = clock
        self._exact = exact
        self._count = count
        self._guarded = guarded

    def batch(self, tenure: WalkTenure, order: Underway, leg: OpenLeg, full: FullBatch) -> None:
        """A batch of the open leg."""
        leg.unacked += 1
        tenure.ahead.put(full.platform, full.targets, self._clock.monotonic_seconds())
        topic = topics.send(Platform(full.platform), self._lane)
        barrier = self._put(tenure, topic, full.value)
        self._when_acked(tenure, barrier, partial(self._acked, tenure, order, leg, topic, full.platform, full.targets))
        self._count("batches", full.platform, 1)
        self._count("targets", full.platform, full.targets)

    def keep(self, tenure: WalkTenure, order: Underway, leg: OpenLeg, records: Sequence[KeptPart]) -> None:
        """What the keeper holds of the open leg's users."""
        if not records:
            return
        leg.unacked += 1
        tenure.ahead.put(KEEPER, len(records), self._clock.monotonic_seconds())
        topic, barrier = topics.keep(self._lane), self._outbox.barrier()
        origin = self._exact.origin(tenure.tp)
        trace = None if order.course is None else order.course.broadcast.note.trace
        for each in records:
            headers = held_headers(origin, order.offset, each.held, trace)
            self._outbox.put(barrier, topic, tenure.number, each.value, each.user, headers)
        self._when_acked(tenure, barrier, partial(self._acked, tenure, order, leg, topic, KEEPER, len(records)))
        for reason, count in Counter(each.reason for each in records).items():
            self._count("held", reason, count)

    def _acked(self, tenure: WalkTenure, order: Underway, leg: OpenLeg, topic: str, reader: str, targets: int) -> None:
        leg.unacked -= 1
        end = self._outbox.acked_end(topic, tenure.number)
        if end is not None:
            tenure.ahead.acked(reader, end, targets)
        self.legs(tenure, order)

    def legs(self, tenure: WalkTenure, order: Underway) -> None:
        """The record of the oldest leg, when it may be written."""
        walk = order.walk
        leg = walk.to_write()
        if leg is not None:
            self._leg(tenure, order, leg, partial(self._leg_acked, tenure, order, leg))

    def cursor(self, tenure: WalkTenure, order: Underway) -> None:
        """The cursor of an idle walk again: so no successor has to read far to find it."""
        self._leg(tenure, order, order.walk.restated(), lambda: None)

    def inherited(self, tenure_pending: Barrier, tenure: WalkTenure, walk: OrderWalk, leg: OpenLeg) -> None:
        """A predecessor's cursor, under the epoch of this process."""
        record = decode_leg(walk.inherited)
        again = msgspec.structs.replace(
            Leg(record.lane, record.source_offset, record.broadcast, leg.number, "", "", 0, 0),
            from_user=record.to_user,
            to_user=record.to_user,
            rows_before=leg.rows_before,
            elapsed_from=record.elapsed_from,
            step=record.step,
            last=record.last,
            count_only=record.count_only,
            reason=record.reason,
            expires_at=record.expires_at,
            at=self._clock.now_ms(),
        )
        self._outbox.put(
            tenure_pending, topics.WALKED, tenure.number, encode_leg(again), None, list(self._exact.origin(tenure.tp))
        )

    def _leg(self, tenure: WalkTenure, order: Underway, leg: OpenLeg, acked: Callable[[], None]) -> None:
        at = self.positions(tenure)[topics.WALKED]  # before the record, so the record is not below it
        headers = leg_headers(self._exact.origin(tenure.tp), order.rows)
        barrier = self._outbox.barrier()
        value = encode_leg(self._record(order, leg))
        self._outbox.put(barrier, topics.WALKED, tenure.number, value, None, headers)

        def written() -> None:
            order.walk.written(leg, at)
            acked()

        self._when_acked(tenure, barrier, written)

    def _leg_acked(self, tenure: WalkTenure, order: Underway, leg: OpenLeg) -> None:
        order.said_at = self._clock.monotonic_seconds()
        self._count("legs", "", 1)
        if order.walk.finished:
            if order in tenure.orders:
                tenure.orders.remove(order)
            order.batch.done_many((order.offset,))
        else:
            self.legs(tenure, order)
        tenure.runner.wake()

    def positions(self, tenure: WalkTenure) -> dict[str, int]:
        """Ends of the outputs as they are known now."""
        self._exact.note(tenure.tp, 0, 0)
        return dict(tenure.walking.positions())

    def _record(self, order: Underway, leg: OpenLeg) -> Leg:
        source = order.order
        return Leg(
            lane=self._lane,
            source_offset=order.offset,
            broadcast=source.broadcast,
            leg=leg.number,
            from_user=leg.from_user.decode(),
            to_user=leg.to_user.decode(),
            elapsed_from=began_at(source),
            step=steps_of(source).step,
            at=self._clock.now_ms(),
            rows_before=leg.rows_before,
            scanned=leg.scanned,
            matched=leg.matched,
            **{str(platform): leg.planned[platform] for platform in Platform},
            held=leg.kept,
            held_out=leg.held_out,
            other=leg.left.total(),
            reasons={str(reason): count for reason, count in leg.left.items() if count},
            variants=dict(leg.variants),
            last=leg.last,
            count_only=source.count_only,
            reason=leg.reason or None,
            users=leg.users,
            expires_at=0 if order.course is None else order.course.broadcast.note.expires_at,
        )

    def _put(self, tenure: WalkTenure, topic: str, value: bytes) -> Barrier:
        barrier = self._outbox.barrier()
        self._outbox.put(barrier, topic, tenure.number, value, None, list(self._exact.origin(tenure.tp)))
        return barrier

    def _when_acked(self, tenure: WalkTenure, barrier: Barrier, then: Callable[[], None]) -> None:
        tenure.pending.begun()

        def acked() -> None:
            tenure.pending.ended()
            then()

        barrier.on_acked(partial(self._guarded, acked))
