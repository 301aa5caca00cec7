"""Reads one partition of several topics, up to given ends."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import cast

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from pushcast.model.errors import PushcastError

_POLL_RECORDS = 5000
_POLL_SECONDS = 0.2
_TIMEOUT_SECONDS = 15.0


def read_span(
    consumer: Consumer, partition: int, starts: Mapping[str, int], ends: Mapping[str, int]
) -> Iterator[Message]:
    """Every record of this partition of several topics, from their starts to their ends."""
    positions = {topic: start for topic, start in starts.items() if start < ends.get(topic, start)}
    consumer.assign([TopicPartition(topic, partition, start) for topic, start in positions.items()])
    silent_until = time.monotonic() + _TIMEOUT_SECONDS
    while left := sum(ends[topic] - position for topic, position in positions.items()):
        # `consume` waits for the whole number or the whole timeout: ask for what is there, and not for long
        messages = consumer.consume(min(_POLL_RECORDS, left), timeout=_POLL_SECONDS)
        if messages:
            silent_until = time.monotonic() + _TIMEOUT_SECONDS
        else:
            # compaction or transaction markers may leave nothing behind the last records
            for at in consumer.position([TopicPartition(topic, partition) for topic in positions]):
                positions[at.topic] = min(ends[at.topic], max(positions[at.topic], at.offset))
            if time.monotonic() > silent_until:
                raise PushcastError(f"no records from partition {partition} within {_TIMEOUT_SECONDS:.0f} s")
        for message in messages:
            if message.error():
                raise KafkaException(message.error())
            topic, position = str(message.topic()), offset_of(message) + 1
            if position <= ends[topic]:
                positions[topic] = position
                yield message
            else:
                positions[topic] = ends[topic]


def offset_of(message: Message) -> int:
    """A consumed record has an offset; the library's type allows None for produced ones."""
    return cast(int, message.offset())
