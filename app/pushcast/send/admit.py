"""A SendBatch record as SEND takes it, or the reason why it is a dead letter. Pure."""

from __future__ import annotations

from pushcast.model.batch import KINDS, Message, SendBatch
from pushcast.model.errors import InvalidInput
from pushcast.model.ids import DELIVERY_ID_BYTES
from pushcast.model.words import Lane, Platform, Reason
from pushcast.wire.batches import check_size, decode_batch
from pushcast.wire.headers import Headers

_MAX_ATTEMPT = 2**31 - 2  # Avro int, and one more is counted


def admit(value: bytes | None, platform: Platform, lane: Lane, headers: Headers = ()) -> SendBatch:
    """Decodes and checks whatever would fail later, deep in an engine or on the way to another topic. About 5 µs a
    message.

    Raises InvalidInput: tombstone, too_large, unknown_frame, unknown_schema, undecodable or invalid_field.
    """
    if value is None:
        raise InvalidInput(Reason.TOMBSTONE, "the record has no value; send topics take no tombstones")
    check_size(value, headers)
    batch = decode_batch(value)
    for field, found, own in (("platform", batch.platform, platform), ("lane", batch.lane, lane)):
        if found != own:
            raise InvalidInput(Reason.INVALID_FIELD, f"{field} is not {own}, which this topic is for", field)
    for message in batch.messages:
        _check(message)
    return batch


def _check(message: Message) -> None:
    targets = message.targets
    count = len(targets)
    if {len(column) for column in targets.columns()} != {count}:
        raise InvalidInput(Reason.INVALID_FIELD, "the columns of targets differ in length", "targets")
    notifications = len(message.notification_ids)
    if len(message.created_at) != notifications or len(message.traces) != notifications:
        raise InvalidInput(Reason.INVALID_FIELD, "the columns of notifications differ in length", "notifications")
    if not count:
        return
    if min(targets.notification) < 0 or max(targets.notification) >= notifications:
        raise InvalidInput(Reason.INVALID_FIELD, "a target names a notification that is not there", "notification")
    if min(targets.kind) < 0 or max(targets.kind) >= len(KINDS):
        raise InvalidInput(Reason.INVALID_FIELD, f"a kind of address is not 0 to {len(KINDS) - 1}", "kind")
    if set(map(len, targets.delivery_id)) != {DELIVERY_ID_BYTES}:
        raise InvalidInput(Reason.INVALID_FIELD, f"a delivery id has not {DELIVERY_ID_BYTES} bytes", "delivery_id")
    if min(targets.attempt) < 0 or max(targets.attempt) > _MAX_ATTEMPT:
        raise InvalidInput(Reason.INVALID_FIELD, f"an attempt is not 0 to {_MAX_ATTEMPT}", "attempt")
