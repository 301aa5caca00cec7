"""Transactions that hold partitions back: since when, asked of the cluster."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final, cast

from confluent_kafka import TopicPartition

from pushcast.kafka.clients import open_peeker
from pushcast.kafka.positions import Spot

#: A tool answers without what it has not heard by then.
ANSWER_SECONDS: Final = 5.0


def open_since(client: Mapping[str, Any], ends: Mapping[Spot, int]) -> dict[Spot, int]:
    """Kafka time in milliseconds of the first record behind these ends of what is committed: about when the oldest open
    transaction of each partition wrote there first.

    It reads that one record although it may still be aborted, and shows nothing of it. Blocks. A partition without an
    answer is left out. Raises KafkaException.
    """
    consumer = open_peeker(client, "pushcast-tool")
    since: dict[Spot, int] = {}
    deadline = time.monotonic() + ANSWER_SECONDS
    try:
        consumer.assign([TopicPartition(*spot, end) for spot, end in ends.items()])
        while len(since) < len(ends) and (left := deadline - time.monotonic()) > 0:
            message = consumer.poll(left)
            if message is None or message.error() is not None:
                continue
            spot = cast(str, message.topic()), cast(int, message.partition())
            since.setdefault(spot, message.timestamp()[1])
            consumer.incremental_unassign([TopicPartition(*spot)])
    finally:
        consumer.close()
    return since
