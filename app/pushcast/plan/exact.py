"""What PLAN tells the hand-over of its outputs, and how a source record goes on from what a predecessor wrote of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from hashlib import blake2b
from typing import TYPE_CHECKING

from pushcast.config.settings import Settings
from pushcast.handover.reading import SpanReader
from pushcast.handover.runner import Handover, Items
from pushcast.handover.tail import Place, There
from pushcast.model.clock import Clock
from pushcast.model.ids import DELIVERY_ID_BYTES
from pushcast.model.words import Lane, Platform, Source
from pushcast.plan.entry import Entry
from pushcast.wire import topics
from pushcast.wire.answers.receipts import decode_planned, decode_receipt
from pushcast.wire.headers import Headers
from pushcast.wire.sending.batches import decode_batch
from pushcast.wire.waiting.held import event_of, parted_of

if TYPE_CHECKING:
    from pushcast.stream.ports import PositionedOutbox
    from pushcast.wire.devices.row_reader import Device


#: Each has an origin of its own, so outputs of the one are never folded into the tail of the other.
_SOURCES = frozenset({Source.NOTIFICATION, Source.DUE})
#: What an event that the keeper has is in the tail.
HELD = b"held"


def build_handover(settings: Settings, lane: Lane, outbox: PositionedOutbox, clock: Clock) -> Handover:
    """For the planner of one lane; connects to nothing before partitions are assigned."""
    outputs: dict[str, Items] = {topics.send(platform, lane): _deliveries for platform in Platform}
    outputs[topics.RECEIPT] = _receipts
    outputs[topics.keep(lane)] = _kept
    return Handover(
        f"plan-{lane}",
        outputs,
        topics.PLANNED,
        partial(_planned, lane),
        outbox=outbox,
        reader=SpanReader(settings.kafka.bootstrap_servers, settings.kafka.security),
        clock=clock,
        sources={topics.due(lane): f"due-{lane}"},
    )


def _deliveries(_: Headers, value: bytes) -> Iterable[tuple[Place, bytes]]:
    batch = decode_batch(value)
    if batch.source not in _SOURCES:
        return
    for message in batch.messages:
        targets, ids = message.targets, message.notification_ids
        for offset, index, delivery in zip(
            targets.source_offset, targets.notification, targets.delivery_id, strict=True
        ):
            yield (offset, ids[index]), delivery


def _receipts(_: Headers, value: bytes) -> Iterable[tuple[Place, bytes]]:
    receipt = decode_receipt(value)
    if receipt["source"] in _SOURCES:
        yield (receipt["source_offset"], receipt["notification_id"]), bytes.fromhex(receipt["delivery_id"])


def _kept(headers: Headers, _: bytes) -> Iterable[tuple[Place, bytes]]:
    yield event_of(headers), parted_of(headers)[1] or HELD


def _planned(lane: Lane, value: bytes) -> Iterable[Place]:
    planned = decode_planned(value)
    if planned.lane != lane or planned.source not in _SOURCES:
        return ()
    return zip(planned.source_offset, planned.notification_id, strict=True)


def resume(entry: Entry, lane: Lane, there: There, devices: Sequence[Device]) -> list[Device]:
    """Counts what is there into the entry's planned record; returns the devices whose delivery is not there.

    A device that has gone since keeps its delivery: it was sent.
    """
    note = entry.note
    if note is None:
        raise ValueError("this entry is in its windows already")
    known: set[bytes] = set()
    for platform in Platform:
        deliveries = there.get(topics.send(platform, lane))
        if deliveries:
            entry.count(str(platform), len(deliveries))
            known |= deliveries
    entry.other = len(there.get(topics.RECEIPT, ()))
    prefix = note.delivery_prefix
    return [
        device
        for device in devices
        if blake2b(prefix + device.key, digest_size=DELIVERY_ID_BYTES).digest() not in known
    ]
