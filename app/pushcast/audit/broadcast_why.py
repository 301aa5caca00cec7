"""Why a device is, or is not, in a broadcast: the predicate of the walk, asked about the row as it is now. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from pushcast.model.broadcast import Broadcast
from pushcast.model.ids import broadcast_delivery_id, bucket, split_device_row_key
from pushcast.walk.predicate import Left, Predicate
from pushcast.wire.broadcasts import Order
from pushcast.wire.devices import row_columns


class Verdict(NamedTuple):
    """One device. `receipt`: how its delivery ended; None: no receipt was found."""

    device: str
    delivery_id: str
    reason: str  # why it is left out; empty: it is in the audience
    condition: dict[str, Any] | None  # that decided, of an audience
    bucket: int | None  # of a split
    variant: str | None
    receipt: str | None

    def sentence(self) -> str:
        """For people."""
        if self.receipt is not None:
            return f"{self.device}: it got the broadcast, {self.receipt}"
        if self.reason == Left.AUDIENCE:
            return f"{self.device}: not in the audience, because this is false for it: {self.condition}"
        if self.reason:
            return f"{self.device}: left out, {self.reason}"
        return f"{self.device}: in the audience, and there is no receipt (yet), or it changed since the walk passed it"


def verdict_of(key: bytes, value: bytes, order: Order, broadcast: Broadcast, receipts: Mapping[str, str]) -> Verdict:
    """`receipts`: by delivery id in hex, the outcome. Raises InvalidInput for a row that cannot be read."""
    user, app, device = split_device_row_key(key)
    columns, note = row_columns(value), broadcast.note
    delivery = broadcast_delivery_id(broadcast.id, key).hex()
    predicate = Predicate(
        broadcast.audience, app=broadcast.app, push_type=note.options.push_type, horizon_ms=order.recorded_at
    )
    place = variant = condition = None
    reason = "other_app" if app != broadcast.app else ""
    if not reason:
        found = predicate.why(user, columns)
        reason, condition = found.left or "", None if found.condition is None else dict(found.condition)
    if broadcast.split is not None:
        place = bucket(broadcast.split.salt, user if broadcast.split.unit == "user" else key.decode())
        chosen = broadcast.split.of(user, key)
        variant = None if chosen is None else chosen.name
        if chosen is None and not reason:
            reason = "held_out"
    return Verdict(f"{app}/{device}", delivery, str(reason), condition, place, variant, receipts.get(delivery))
