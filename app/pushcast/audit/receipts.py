"""Reads the receipts that count: no fence, nothing that was written late, no copy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pushcast.audit.spans import fences_from, of_partition, offset_of, read_span, starts_from
from pushcast.config.settings import Settings
from pushcast.handover.writers import Writers
from pushcast.kafka.clients import client_config, open_consumer
from pushcast.kafka.headers import headers_of
from pushcast.kafka.positions import open_positions
from pushcast.model.ids import partition_of
from pushcast.wire.answers.receipts import decode_receipt
from pushcast.wire.topics import RECEIPT


def receipts(settings: Settings, since_ms: int | None = None, user: str | None = None) -> Iterator[dict[str, Any]]:
    """Receipts by the names of the schema, written since then (None: all that are kept), up to the ends of now.

    A partition at a time, each in the order of its log. A delivery that was redriven has one for each of its runs; the
    last counts. Memory: an entry for each receipt of a partition. Raises KafkaException and PushcastError.
    """
    kafka = settings.kafka
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
            writers = Writers()
            seen: set[tuple[str, int]] = set()
            for message in read_span(consumer, number, of_partition(number, read_from), of_partition(number, ends)):
                counts = writers.stands(headers_of(message), offset_of(message))
                if not counts or not (value := message.value()) or offset_of(message) < starts[RECEIPT, number]:
                    continue
                receipt = decode_receipt(value)
                name = receipt["delivery_id"], receipt["run"]
                if name not in seen and user in {None, receipt["user"]}:
                    seen.add(name)
                    yield receipt
    finally:
        consumer.close()
