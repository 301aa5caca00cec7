"""Reads the receipts that count: no fence, nothing that was written late, no copy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from confluent_kafka import Message

from pushcast.audit.left_out import LeftOutRecords
from pushcast.audit.spans import fences_from, of_partition, offset_of, read_span, starts_from
from pushcast.config.settings import Settings
from pushcast.handover.writers import Writers
from pushcast.kafka.clients import client_config, open_consumer
from pushcast.kafka.headers import headers_of
from pushcast.kafka.positions import open_positions
from pushcast.model.errors import InvalidInput
from pushcast.model.ids import partition_of
from pushcast.wire.answers.receipt_reader import read_receipt
from pushcast.wire.answers.receipts import decode_receipt, takes_place
from pushcast.wire.topics import RECEIPT


def receipts(settings: Settings, since_ms: int | None = None, user: str | None = None) -> Iterator[dict[str, Any]]:
    """Receipts by the names of the schema, written since then (None: all that are kept), up to the ends of now.

    A partition at a time, each in the order of its log. A delivery that was redriven has one for each of its runs; the
    last counts. Each partition is read twice: which receipt of a run counts is known at the end.
    Memory: an entry for each receipt of a partition. Raises KafkaException and PushcastError.
    """
    kafka, left_out = settings.kafka, LeftOutRecords()
    client = client_config(kafka.bootstrap_servers, kafka.security, tool=True)
    positions = open_positions(client)
    numbers = range(kafka.partitions) if user is None else [partition_of(user.encode(), kafka.partitions)]
    lows = positions.starts((RECEIPT, number) for number in numbers)
    ends = positions.ends(lows)
    wanted_ms = dict.fromkeys(numbers, since_ms)
    starts = starts_from(positions, lows, ends, wanted_ms)
    read_from = starts_from(positions, lows, ends, fences_from(wanted_ms))
    consumer = open_consumer({**client, "auto.offset.reset": "earliest", "fetch.wait.max.ms": 50}, "pushcast-receipts")
    try:
        for number in numbers:
            spans = of_partition(number, read_from), of_partition(number, ends)
            there = _counted(read_span(consumer, number, *spans), starts[RECEIPT, number])
            if not (chosen := counting(there, user)):
                continue
            for message in read_span(consumer, number, of_partition(number, starts), of_partition(number, ends)):
                if offset_of(message) in chosen and (found := left_out.decoded(message, decode_receipt)) is not None:
                    yield found
    finally:
        consumer.close()


def _counted(messages: Iterable[Message], start: int) -> Iterator[tuple[int, bytes]]:
    """Offsets and values from `start` on, without what is no data and what fenced-off writers wrote."""
    writers = Writers()
    for message in messages:
        offset = offset_of(message)
        if writers.stands(headers_of(message), offset) and (value := message.value()) and offset >= start:
            yield offset, value


def counting(records: Iterable[tuple[int, bytes]], user: str | None = None) -> set[int]:
    """Offsets of receipts that count, of a user's only if one is asked for: copies are left out, and what an acceptance
    of the same run takes the place of. Those that cannot be read are among them: who decodes them says so."""
    found: dict[tuple[bytes, int], tuple[int, str]] = {}  # offset and outcome, by delivery and run
    unreadable: set[int] = set()
    for offset, value in records:
        try:
            receipt = read_receipt(value)
        except InvalidInput:
            unreadable.add(offset)
            continue
        if user is not None and receipt.user != user.encode():
            continue
        name, outcome = (receipt.delivery, receipt.run), receipt.section.outcome
        known = found.get(name)
        is_copy = known is not None and known[1] == outcome
        if not is_copy and takes_place(receipt.run, None if known is None else (receipt.run, known[1])):
            found[name] = offset, outcome
    return unreadable.union(offset for offset, _ in found.values())
