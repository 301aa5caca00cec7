"""Why a device is, or is not, in a broadcast: the predicate of the walk, asked about the row as it is now. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec

from pushcast.audit.case import Wait
from pushcast.audit.kept import KEEPER, KeptPush, until
from pushcast.model.broadcast import Broadcast
from pushcast.model.ids import broadcast_delivery_id, bucket, device_row_key, split_device_row_key
from pushcast.model.words import Outcome
from pushcast.walk.narrowing import NOT_TO
from pushcast.walk.predicate import Left, Predicate
from pushcast.wire.devices.devices import row_columns
from pushcast.wire.events.orders import Order
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
    waits_in: str | None = None  # the keeper, or the topic of a delivery that waits there; None: nowhere
    waits_because: str | None = None
    waits_until: int = 0  # milliseconds since the epoch; 0: it is about to be taken on

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        waits = None
        if self.waits_in is not None:
            until_at = rfc3339(self.waits_until) if self.waits_until else None
            waits = {"where": self.waits_in, "because": self.waits_because, "until": until_at}
        found = {name: value for name, value in self._asdict().items() if not name.startswith("waits_")}
        return {**found, "waits": waits, "answer": self.sentence()}

    def sentence(self) -> str:
        """For people."""
        if self.receipt == Outcome.ACCEPTED:
            return f"{self.device}: it got the broadcast, {self.receipt}"
        if self.receipt is not None:
            return f"{self.device}: it did not get the broadcast, {self.receipt}"
        if self.waits_in is not None:
            because = f" ({self.waits_because})" if self.waits_because else ""
            return f"{self.device}: in the audience, and waits in {self.waits_in} {until(self.waits_until)}{because}"
        if self.reason == Left.AUDIENCE:
            return f"{self.device}: not in the audience, because this is false for it: {self.condition}"
        if self.reason:
            return f"{self.device}: left out, {self.reason}"
        if self.passed_at is None:
            return f"{self.device}: in the audience, and the walk has not passed it (yet)"
        passed = f"the walk passed it at {rfc3339(self.passed_at)}"
        return f"{self.device}: in the audience, {passed}, and there is no receipt (yet), or it changed since"


class UserFacts(NamedTuple):
    """What the topics have of a broadcast for one user. Deliveries are named by their ids in hex.

    `receipts`: outcomes. `earlier`: the same of the broadcast that `not_to` names. `kept`: what the keeper holds.
    `waits`: deliveries in topics that their groups have not finished. `passed_at`: when the cursor passed the user.
    """

    receipts: Mapping[str, str] = MappingProxyType({})
    earlier: Mapping[str, str] = MappingProxyType({})
    kept: Mapping[str, KeptPush] = MappingProxyType({})
    waits: Mapping[str, Wait] = MappingProxyType({})
    passed_at: int | None = None


def verdict_of(key: bytes, value: bytes, order: Order, broadcast: Broadcast, facts: UserFacts) -> DeviceVerdict:
    """Raises InvalidInput for a row that cannot be read."""
    user, app, device = split_device_row_key(key)
    columns, note = row_columns(value), broadcast.note
    delivery = broadcast_delivery_id(broadcast.id, key).hex()
    predicate = Predicate(
        broadcast.audience, app=broadcast.app, push_type=note.options.push_type, horizon_ms=order.recorded_at
    )
    place = variant = condition = None
    reason = "other_app" if app != broadcast.app else ""
    if not reason:
        asked = predicate.why(user, columns)
        reason, condition = asked.left or "", None if asked.condition is None else dict(asked.condition)
    not_to = broadcast.not_to
    if not_to is not None and not reason:
        had = facts.earlier.get(broadcast_delivery_id(not_to.broadcast, key).hex())
        reason = NOT_TO if had in not_to.outcomes else ""
    if broadcast.split is not None:
        place = bucket(broadcast.split.salt, user if broadcast.split.unit == "user" else key.decode())
        chosen = broadcast.split.of(user, key)
        variant = None if chosen is None else chosen.name
        if chosen is None and not reason:
            reason = "held_out"
    steps = range(len(broadcast.steps))
    step = next((at + 1 for at in steps if msgspec.structs.replace(broadcast, step=at).in_step(user)), None)
    receipt = facts.receipts.get(delivery)
    if receipt is None and delivery not in facts.kept and delivery not in facts.waits and not reason:
        # What the keeper ended has one receipt for the user.
        receipt = facts.receipts.get(broadcast_delivery_id(broadcast.id, device_row_key(user, app, "")).hex())
    name, passed_at = f"{app}/{device}", facts.passed_at
    found = DeviceVerdict(name, delivery, str(reason), condition, place, variant, step, passed_at, receipt)
    return found if receipt is not None else _waiting(found, facts)


def _waiting(found: DeviceVerdict, facts: UserFacts) -> DeviceVerdict:
    """A delivery that was let go is in a topic; what the keeper still has of it is about to go."""
    if (wait := facts.waits.get(found.delivery_id)) is not None:
        return found._replace(waits_in=wait.topic, waits_because=wait.why or None, waits_until=wait.due_ms)
    if (kept := facts.kept.get(found.delivery_id)) is not None:
        return found._replace(waits_in=f"the {KEEPER}", waits_because=kept.reason, waits_until=kept.due_at)
    return found
