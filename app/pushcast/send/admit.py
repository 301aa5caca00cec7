"""A SendBatch record as SEND takes it, or the reason why it is a dead letter. Pure."""

from __future__ import annotations

from collections.abc import Set
from typing import Final

from pushcast.model.batch import KINDS, SendBatch
from pushcast.model.errors import InvalidInput
from pushcast.model.words import Lane, Platform, Reason
from pushcast.wire.headers import Headers
from pushcast.wire.sending.batch_reader import read_batch
from pushcast.wire.sending.batches import check_size

_KINDS: Final = frozenset(range(len(KINDS)))


def admit(
    value: bytes | None,
    platform: Platform,
    lane: Lane,
    headers: Headers = (),
    mixed: Set[str] = frozenset(),
) -> SendBatch:
    """Decodes and checks whatever would fail later, deep in an engine or on the way to another topic. About 5 µs a
    message. `mixed`: apps whose small messages may be one (`Message.wordings`).

    Raises InvalidInput: tombstone, too_large, unknown_frame, unknown_schema, undecodable or invalid_field.
    """
    if value is None:
        raise InvalidInput(Reason.TOMBSTONE, "the record has no value; send topics take no tombstones")
    check_size(value, headers)
    batch = read_batch(value, mixed.__contains__)
    for field, found, own in (("platform", batch.platform, platform), ("lane", batch.lane, lane)):
        if found != own:
            raise InvalidInput(Reason.INVALID_FIELD, f"{field} is not {own}, which this topic is for", field)
    for message in batch.messages:
        if not _KINDS.issuperset(message.targets.kind):
            raise InvalidInput(Reason.INVALID_FIELD, f"a kind of address is not 0 to {len(KINDS) - 1}", "kind")
    return batch
