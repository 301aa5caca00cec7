"""Reads partitions of topics from a tool: no group, from anywhere, up to the end of now."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from typing import Any, cast

from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition

from pushcast.kafka.clients import open_consumer
from pushcast.kafka.headers import headers_of
from pushcast.kafka.offsets import since, watermarks
from pushcast.kafka.positions import Spot, open_positions
from pushcast.model.errors import PushcastError
from pushcast.settle.letters import Raw

_TIMEOUT_SECONDS = 15.0
_POLL_SECONDS = 0.2
#: Held in memory at a time.
BLOCK_RECORDS = 500
BLOCK_BYTES = 16 << 20


class Logs:
    """One consumer for everything. Every method raises PushcastError when Kafka does not answer. Close it."""

    def __init__(self, client: dict[str, Any]) -> None:
        self._positions = open_positions(client)
        self._consumer = open_consumer(
            client, "pushcast-dlq", auto_offset_reset="earliest", enable_partition_eof=True, fetch_wait_max_ms=50
        )

    def close(self) -> None:
        self._consumer.close()

    def offset_at(self, topic: str, partition: int, timestamp_ms: int) -> int:
        """Offset of the first record from this time on; the end when there is none."""
        return since(self._consumer, {(topic, partition): timestamp_ms})[topic, partition]

    def filled(self, names: Collection[str]) -> list[Spot]:
        """Partitions of these topics that hold anything; topics that are not there hold nothing."""
        try:
            known = self._consumer.list_topics(timeout=_TIMEOUT_SECONDS).topics
        except KafkaException as error:
            raise PushcastError(f"the topics of Kafka cannot be listed: {error.args[0].str()}") from error
        spots = [(topic, number) for topic in names if topic in known for number in sorted(known[topic].partitions)]
        starts, ends = self._positions.starts(spots), self._positions.ends(spots)
        return [spot for spot in spots if starts.get(spot, 0) < ends.get(spot, 0)]

    def bounds(self, topic: str, partition: int) -> tuple[int, int]:
        """First offset that is there, and where what is committed ends."""
        return watermarks(self._consumer, topic, partition)

    def end(self, topic: str, partition: int) -> int:
        """Next offset to be written."""
        return self.bounds(topic, partition)[1]

    def read(self, topic: str, partition: int, start: int | None = None) -> Iterator[Message]:
        """From `start` to the end of now. The consumer is shared: it is put back in place after each use elsewhere."""
        low, end = self.bounds(topic, partition)
        position = low if start is None else max(low, start)
        while position < end:
            self._consumer.assign([TopicPartition(topic, partition, position)])
            block, position = self._block(topic, partition, position, end)
            yield from block

    def _block(self, topic: str, partition: int, position: int, end: int) -> tuple[list[Message], int]:
        """Some records and where to go on."""
        block: list[Message] = []
        size = 0
        deadline = time.monotonic() + _TIMEOUT_SECONDS
        while position < end and len(block) < BLOCK_RECORDS and size < BLOCK_BYTES:
            for message in self._consumer.consume(min(BLOCK_RECORDS, end - position), timeout=_POLL_SECONDS):
                error = message.error()
                if error is not None:
                    if error.code() == KafkaError._PARTITION_EOF:
                        return block, end
                    raise PushcastError(f"{topic}[{partition}]: {error.str()}")
                offset = cast(int, message.offset())
                if offset < end:
                    block.append(message)
                    size += len(message.value() or b"")
                position = offset + 1
                deadline = time.monotonic() + _TIMEOUT_SECONDS
            if time.monotonic() > deadline:
                raise PushcastError(f"no records from {topic}[{partition}] within {_TIMEOUT_SECONDS:.0f} s")
        return block, position


def raw_of(message: Message) -> Raw:
    """A consumed record, without the client."""
    return Raw(
        topic=cast(str, message.topic()),
        partition=cast(int, message.partition()),
        offset=cast(int, message.offset()),
        timestamp_ms=int(message.timestamp()[1]),
        key=message.key(),
        value=message.value(),
        headers=list(headers_of(message)),
    )
