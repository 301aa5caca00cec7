"""Why a device is, or is not, in a broadcast: the predicate of the walk, asked about the row as it is now. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from pushcast.model.broadcast import Broadcast
from pushcast.model.ids import broadcast_delivery_id, bucket, split_device_row_key
from pushcast.walk.course import NOT_TO
from pushcast.walk.predicate import Left, Predicate
from pushcast.wire.devices import row_columns
from pushcast.wire.orders import Order
from pushcast.wire.times import rfc3339


class DeviceVerdict(NamedTuple):
    """One device. `receipt`: how its delivery ended; None: no receipt was found."""

    device: str
    delivery_id: str
    reason: str  # why it is left out; empty: it is in the audience
    condition: dict[str, Any] | None  # that decided, of an audience
    bucket: int | None  # of a split
    variant: str | None
    step: int | None  # that takes the user in, from 1 on; None: the broadcast has no steps
    passed_at: int | None  # when the cursor passed the user, milliseconds since the epoch; None: it has not (yet)
    receipt: str | None

    def sentence(self) -> str:
        """For people."""
        if self.receipt is not None:
            return f"{self.device}: it got the broadcast, {self.receipt}"
        if self.reason == Left.AUDIENCE:
            return f"{self.device}: not in the audience, because this is false for it: {self.condition}"
        if self.reason:
            return f"{self.device}: left out, {self.reason}"
        if self.passed_at is None:
            return f"{self.device}: in the audience, and the walk has not passed it (yet)"
        passed = f"the walk passed it at {rfc3339(self.passed_at)}"
        return f"{self.device}: in the audience, {passed}, and there is no receipt (yet), or it changed since"


def verdict_of(
    key: bytes,
    value: bytes,
    order: Order,
    broadcast: Broadcast,
    receipts: Mapping[str, str],
    earlier: Mapping[str, str],
    passed_at: int | None,
) -> DeviceVerdict:
    """`receipts`: by delivery id in hex, the outcome; `earlier`: the same of the broadcast that `not_to` names.

    `passed_at`: when the cursor passed the user. Raises InvalidInput for a row that cannot be read.
    """
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
    not_to = broadcast.not_to
    if not_to is not None and not reason:
        had = earlier.get(broadcast_delivery_id(not_to.broadcast, key).hex())
        reason = NOT_TO if had in not_to.outcomes else ""
    if broadcast.split is not None:
        place = bucket(broadcast.split.salt, user if broadcast.split.unit == "user" else key.decode())
        chosen = broadcast.split.of(user, key)
        variant = None if chosen is None else chosen.name
        if chosen is None and not reason:
            reason = "held_out"
    steps = range(len(broadcast.steps))
    step = next((at + 1 for at in steps if msgspec.structs.replace(broadcast, step=at).in_step(user)), None)
    receipt = receipts.get(delivery)
    return DeviceVerdict(f"{app}/{device}", delivery, str(reason), condition, place, variant, step, passed_at, receipt)
