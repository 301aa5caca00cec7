"""Follows single notifications to their receipts, for `pushcast send --wait`."""

from __future__ import annotations

import time
from typing import Any

from confluent_kafka import Consumer, TopicPartition

from pushcast.config.settings import Settings
from pushcast.kafka.security import librdkafka_config
from pushcast.model.ids import partition_of
from pushcast.wire import topics
from pushcast.wire.receipts import decode_planned, decode_receipt


def follow(
    settings: Settings, wanted: set[tuple[str, str]], since_ms: int, timeout_seconds: float
) -> tuple[bool, list[dict[str, Any]]]:
    """(whether all ended, receipts) of the notifications `wanted`, given as (user, id). Blocks."""
    partitions = sorted({partition_of(user.encode(), settings.kafka.partitions) for user, _ in wanted})
    consumer = Consumer(
        {
            "bootstrap.servers": settings.kafka.bootstrap_servers,
            **librdkafka_config(settings.kafka.security),
            "group.id": "pushcast-follow",
            "enable.auto.commit": False,
            "fetch.wait.max.ms": 50,
        }
    )
    planned: dict[str, int] = {}
    receipts: dict[str, dict[str, Any]] = {}
    ids = {note for _, note in wanted}
    try:
        since = [TopicPartition(t, p, since_ms) for t in (topics.PLANNED, topics.RECEIPT) for p in partitions]
        consumer.assign(consumer.offsets_for_times(since, timeout=15.0))
        deadline = time.monotonic() + timeout_seconds
        while time.monotonic() < deadline:
            for message in consumer.consume(1000, 0.1):
                value = message.value()
                if message.error() is not None or value is None:
                    continue
                if message.topic() == topics.PLANNED:
                    for _, note, total, _ in decode_planned(value).rows():
                        if note in ids:
                            planned[note] = total
                else:
                    receipt = decode_receipt(value)
                    if (receipt["user"], receipt["notification_id"]) in wanted:
                        receipts[receipt["delivery_id"]] = receipt
            if planned.keys() == ids and sum(planned.values()) <= len(receipts):
                return True, list(receipts.values())
        return False, list(receipts.values())
    finally:
        consumer.close()
