"""Orders: what a broadcast becomes, one for each partition and step."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import msgspec

from pushcast.model.broadcast import Instant, Step
from pushcast.model.ids import partition_of
from pushcast.wire.json_errors import decoded
from pushcast.wire.schemas import avro_type

#: Behind the id of an intake topic: orders of later steps are a log of their own, because no event stands behind them.
STEPS_SUFFIX: Final = "/steps"
_ORDER = avro_type("walk_order")


class Order(NamedTuple):
    """One partition's part of a broadcast, as `push.walk.<lane>.v1` has it. Times are milliseconds since the epoch.

    `reason`: why nothing is to be planned; empty: something is. `event`: what `Event.frozen` wrote.
    """

    broadcast: str
    intake_id: str
    intake_offset: int
    recorded_at: int
    count_only: bool
    reason: str
    event: bytes


def encode_order(order: Order) -> bytes:
    """Framed Avro; equal orders have equal bytes."""
    return _ORDER.encode(order._asdict())


def decode_order(value: bytes) -> Order:
    """Raises InvalidInput for what SPREAD of this or an earlier release has not written; of its event what `steps_of`
    asks is read, because every reader asks it, and none is to meet an error then."""
    order = Order(**_ORDER.decode(value))
    decoded(_STEPS, order.event)
    return order


def base_log(intake_id: str) -> str:
    """The intake topic's id that an order goes back to, of an event or of a later step."""
    return intake_id.removesuffix(STEPS_SUFFIX)


class Steps(msgspec.Struct):
    """What an order says of its broadcast's steps, or of its instants. Times are milliseconds since the epoch."""

    expires_at: int
    step: int = 0
    steps: list[Step] = []
    instants: list[Instant] = []
    via: str | None = None

    @property
    def fan_out(self) -> str:
        """Whose own fan-out it goes through; empty: ours, to devices."""
        return "" if self.via in (None, "devices") else self.via

    @property
    def count(self) -> int:
        """Orders that the broadcast has in each partition, when nothing ends it early."""
        return len(self.instants) + 1 if self.instants else len(self.steps) or 1

    @property
    def more(self) -> bool:
        """Whether orders come behind this one."""
        return self.step + 1 < self.count


_STEPS: Final = msgspec.json.Decoder(Steps)
_EVENT: Final = msgspec.json.Decoder(dict[str, Any])


def steps_of(order: Order) -> Steps:
    """Any configuration can tell; a broadcast without steps, and a count, are at step 0 of none."""
    found = _STEPS.decode(order.event)
    return Steps(found.expires_at) if order.count_only else found


def began_at(order: Order) -> int:
    """What a pace counts from: when the event came, or the step was decided."""
    return order.intake_offset if order.intake_id.endswith(STEPS_SUFFIX) else order.recorded_at


def next_step(order: Order, number: int, reason: str) -> Order:
    """The order of the step behind this one. `number`: its place in the log of steps, a time in milliseconds.

    `reason`: why nothing is to be planned of it, and nothing of the steps behind it; empty: it is walked. Each
    instant has an expiry of its own.
    """
    fields = _EVENT.decode(order.event)
    step = fields["step"] + 1
    due = {"expires_at": fields["instants"][step - 1][1]} if fields.get("instants") else {}
    event = msgspec.json.encode({**fields, **due, "step": step})
    horizon = number if due else order.recorded_at  # who registered while a broadcast waited for its time is in
    log = base_log(order.intake_id) + STEPS_SUFFIX
    return order._replace(intake_id=log, intake_offset=number, recorded_at=horizon, reason=reason, event=event)


def sampled(broadcast: str, partitions: int) -> int:
    """The partition that works for all: a quick count walks it, because users are spread evenly, and what the provider
    fans out leaves from there."""
    return partition_of(broadcast.encode(), partitions)
