"""What SEND tells its ledger of the records that outcomes are in, and the targets that are left of a message."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Set
from typing import TYPE_CHECKING

from pushcast.config.settings import Settings
from pushcast.handover.ledgers import LedgerEnd, Ledgers, Read
from pushcast.handover.reading import SpanReader
from pushcast.model.batch import Message
from pushcast.model.errors import InvalidInput
from pushcast.model.words import Reason
from pushcast.wire import topics
from pushcast.wire.answers import ledger
from pushcast.wire.headers import LEDGER, first
from pushcast.wire.sending.batches import decode_batch
from pushcast.wire.sending.retries import SENT_FROM

if TYPE_CHECKING:
    from pushcast.stream.ports import PositionedOutbox


def build_ledgers(settings: Settings, group: str, outbox: PositionedOutbox) -> Ledgers:
    """For the senders of one platform and lane; connects to nothing before partitions are assigned."""
    outputs: dict[str, Read] = {topics.RECEIPT: _receipts_of(group)}
    for topic in (*map(topics.retry, topics.RETRY_DELAY_SECONDS), topics.PARKED):
        outputs[topic] = _carried_of(group)
    reader = SpanReader(settings.kafka.bootstrap_servers, settings.kafka.security)
    return Ledgers(outputs, outbox=outbox, reader=reader)


def _receipts_of(group: str) -> Callable[[Iterable[tuple[str, bytes | None]], bytes | None], LedgerEnd | None]:
    mine = f"{group}{ledger.SEPARATOR}".encode()

    def read(headers: Iterable[tuple[str, bytes | None]], _: bytes | None) -> LedgerEnd | None:
        entry = first(headers, LEDGER)
        if entry is None or not entry.startswith(mine):
            return None
        found = ledger.parse(entry)
        return LedgerEnd(found.send_offset, (found.delivery_id,))

    return read


def _carried_of(group: str) -> Callable[[Iterable[tuple[str, bytes | None]], bytes | None], LedgerEnd | None]:
    mine = f"{group}{ledger.SEPARATOR}".encode()

    def read(headers: Iterable[tuple[str, bytes | None]], value: bytes | None) -> LedgerEnd | None:
        sent_from = first(headers, SENT_FROM)
        if sent_from is None or value is None or not sent_from.startswith(mine):
            return None
        offset = sent_from[len(mine) :]
        if not offset.isdigit():
            raise InvalidInput(Reason.INVALID_FIELD, f"{SENT_FROM} is not group|offset", SENT_FROM)
        batch = decode_batch(value)
        delivery_ids = [each for message in batch.messages for each in message.targets.delivery_id]
        return LedgerEnd(int(offset), delivery_ids)

    return read


def left_of(message: Message, have: Set[bytes]) -> list[int]:
    """Targets that have no outcome yet, by index."""
    if not have:
        return list(range(len(message.targets.delivery_id)))
    return [index for index, delivery_id in enumerate(message.targets.delivery_id) if delivery_id not in have]
