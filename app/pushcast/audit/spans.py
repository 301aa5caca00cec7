"""Reads one partition of several topics at a time: from when on, and up to given ends."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import cast

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from pushcast.config.settings import Settings
from pushcast.kafka.clients import client_config
from pushcast.kafka.positions import Positions, Spot, open_positions
from pushcast.model.errors import PushcastError

_POLL_RECORDS = 5000
_POLL_SECONDS = 0.2
_TIMEOUT_SECONDS = 15.0


#: Read before the first record that is wanted, for the fences: a stopped process that wakes up writes within minutes.
FENCES_BEFORE_MS = 15 * 60 * 1000


def positions_of(settings: Settings) -> Positions:
    """For one command."""
    kafka = settings.kafka
    return open_positions(client_config(kafka.bootstrap_servers, kafka.security, tool=True))


def starts_from(
    positions: Positions, lows: Mapping[Spot, int], ends: Mapping[Spot, int], times_ms: Mapping[int, int | None]
) -> dict[Spot, int]:
    """First offset from its partition's time on; the end where there is none; where there is no time, the first."""
    asked = {spot: ms for spot in lows if (ms := times_ms[spot[1]]) is not None}
    found = positions.at(asked)
    return {
        spot: max(low, found.get(spot, ends.get(spot, low))) if spot in asked else low for spot, low in lows.items()
    }


def fences_from(times_ms: Mapping[int, int | None]) -> dict[int, int | None]:
    """From when on fences are read, for what is wanted from these times on."""
    return {partition: None if ms is None else max(0, ms - FENCES_BEFORE_MS) for partition, ms in times_ms.items()}


def of_partition(partition: int, offsets: Mapping[Spot, int]) -> dict[str, int]:
    """Those of one partition, by topic."""
    return {topic: offset for (topic, number), offset in offsets.items() if number == partition}


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
