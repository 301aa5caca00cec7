"""What SETTLE tells the hand-over of its outputs: which deliveries of which source record are there."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pushcast.config.settings import Settings
from pushcast.handover.reading import SpanReader
from pushcast.handover.runner import Handover, Items
from pushcast.model.clock import Clock
from pushcast.model.words import Lane, Platform
from pushcast.wire import topics
from pushcast.wire.answers.receipts import decode_receipt
from pushcast.wire.headers import Headers, first
from pushcast.wire.sending.batches import decode_batch
from pushcast.wire.sending.retries import CAME_FROM

if TYPE_CHECKING:
    from pushcast.stream.ports import PositionedOutbox

STAGE = "settle"
#: What each source topic is called in the origin of its outputs.
SOURCES = {
    **{topics.retry(delay): f"{STAGE}-{delay}" for delay in topics.RETRY_DELAY_SECONDS},
    topics.PARKED: f"{STAGE}-parked",
}


def build_handover(settings: Settings, outbox: PositionedOutbox, clock: Clock) -> Handover:
    """For the settlers; connects to nothing before partitions are assigned.

    Dead letters are not among the outputs: a fence would be a letter, and a letter that comes twice does no harm.
    """
    outputs: dict[str, Items] = {topics.send(platform, lane): _deliveries for platform in Platform for lane in Lane}
    outputs[topics.PARKED] = _deliveries
    outputs[topics.RECEIPT] = _receipt
    return Handover(
        STAGE,
        outputs,
        outbox=outbox,
        reader=SpanReader(settings.kafka.bootstrap_servers, settings.kafka.security),
        clock=clock,
        sources=SOURCES,
    )


def _deliveries(headers: Headers, value: bytes) -> Iterable[tuple[int, bytes]]:
    offset = _source_offset(headers)
    for message in decode_batch(value).messages:
        for delivery_id in message.targets.delivery_id:
            yield offset, delivery_id


def _receipt(headers: Headers, value: bytes) -> Iterable[tuple[int, bytes]]:
    return ((_source_offset(headers), bytes.fromhex(decode_receipt(value)["delivery_id"])),)


def _source_offset(headers: Headers) -> int:
    """Written by `outputs`, beside the origin that led here."""
    return int((first(headers, CAME_FROM) or b"").rpartition(b"|")[2])
