"""Reads the books from Kafka, a partition at a time, up to the ends that the topics had when it began."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

from confluent_kafka import OFFSET_END, Consumer, KafkaException, Message, TopicPartition

from pushcast.audit.reckoning import PartitionAccounts, Totals
from pushcast.config.settings import Settings
from pushcast.kafka.security import librdkafka_config
from pushcast.model.errors import PushcastError
from pushcast.model.ids import partition_of
from pushcast.model.words import Lane
from pushcast.wire import headers as h
from pushcast.wire import topics
from pushcast.wire.dead_letters import STREAMS
from pushcast.wire.receipts import decode_planned, decode_receipt

_POLL_RECORDS = 5000
_TIMEOUT_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Lag:
    """Records of a topic that a group has not finished."""

    group: str
    topic: str
    records: int


def planner_group(lane: Lane) -> str:
    """Consumer group of a planner App."""
    return f"pushcast-plan-{lane}"


class Books:
    """A reader of one cluster. Not thread-safe; close it."""

    def __init__(self, settings: Settings) -> None:
        self._partitions = settings.kafka.partitions
        self._config = {
            "bootstrap.servers": settings.kafka.bootstrap_servers,
            **librdkafka_config(settings.kafka.security),
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "fetch.wait.max.ms": 50,
            "log_level": 0,
        }
        self._consumer = Consumer({**self._config, "group.id": "pushcast-audit"})
        self._groups: dict[str, Consumer] = {}  # never joined: only asked for their committed offsets

    def close(self) -> None:
        for consumer in (self._consumer, *self._groups.values()):
            consumer.close()

    def __enter__(self) -> Books:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def reckon(
        self,
        since_ms: int | None,
        progress: Callable[[int], None] = lambda partition: None,
        on_receipt: Callable[[dict[str, Any]], None] = lambda receipt: None,
    ) -> Totals:
        """Judges every notification produced since `since_ms` (None: as far back as the topics reach).

        `on_receipt` sees every distinct receipt once.
        """
        totals = Totals()
        commits = {lane: self._committed(planner_group(lane), topics.notification(lane)) for lane in Lane}
        for partition in range(self._partitions):
            accounts = PartitionAccounts(partition)
            first: dict[str, int] = {}
            committed: dict[str, int] = {}
            for lane in Lane:
                topic = topics.notification(lane)
                committed[lane] = commits[lane][partition]
                first[lane] = self._start(topic, partition, since_ms)
                for message in self._read(topic, partition, first[lane]):
                    accounts.intake(lane, _offset(message))
                    if h.first(_headers(message), h.FORWARDED) is None and self._is_foreign(message):
                        accounts.excuse(lane, _offset(message))
                for message in self._read(topics.dead_letter(topic), partition, since_ms=since_ms):
                    offset = h.first(_headers(message), STREAMS + "offset")
                    if offset is not None:
                        accounts.excuse(lane, int(offset))
            for message in self._read(topics.PLANNED, partition, since_ms=since_ms):
                if value := message.value():
                    accounts.planned(decode_planned(value))
            for message in self._read(topics.RECEIPT, partition, since_ms=since_ms):
                if (value := message.value()) and accounts.receipt(receipt := decode_receipt(value)):
                    on_receipt(receipt)
            accounts.settle(totals, committed, first)
            progress(partition)
        return totals

    def _is_foreign(self, message: Message) -> bool:
        key = message.key()
        return bool(key) and partition_of(cast(bytes, key), self._partitions) != message.partition()

    def lag(self, group: str, topic: str) -> Lag:
        """Unfinished records of `topic`, all partitions together."""
        records = 0
        for partition, committed in enumerate(self._committed(group, topic)):
            low, high = self._watermarks(topic, partition)
            records += max(0, high - max(low, committed))
        return Lag(group, topic, records)

    def tombstones(self, topic: str) -> int:
        """Null records that a compacted topic still holds."""
        return sum(
            message.value() is None for partition in range(self._partitions) for message in self._read(topic, partition)
        )

    def end_offsets(self, topic: str) -> list[int]:
        """Next offset to be written, per partition."""
        return [self._watermarks(topic, partition)[1] for partition in range(self._partitions)]

    def _watermarks(self, topic: str, partition: int) -> tuple[int, int]:
        found = self._consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=_TIMEOUT_SECONDS)
        if found is None:
            raise PushcastError(f"no answer from Kafka about {topic} within {_TIMEOUT_SECONDS:.0f} s")
        return int(found[0]), int(found[1])

    def _committed(self, group: str, topic: str) -> list[int]:
        """Committed offset of each partition; 0 where nothing was committed."""
        consumer = self._groups.get(group)
        if consumer is None:
            consumer = self._groups[group] = Consumer({**self._config, "group.id": group})
        wanted = [TopicPartition(topic, partition) for partition in range(self._partitions)]
        return [max(0, int(found.offset)) for found in consumer.committed(wanted, timeout=_TIMEOUT_SECONDS)]

    def _start(self, topic: str, partition: int, since_ms: int | None) -> int:
        low, high = self._watermarks(topic, partition)
        if since_ms is None:
            return low
        found = self._consumer.offsets_for_times([TopicPartition(topic, partition, since_ms)], timeout=_TIMEOUT_SECONDS)
        offset = int(found[0].offset)
        return high if offset in (OFFSET_END, -1) else max(low, offset)

    def _read(
        self, topic: str, partition: int, start: int | None = None, *, since_ms: int | None = None
    ) -> Iterator[Message]:
        """Every record from `start` (or since the time) to the end that the topic has now."""
        _, high = self._watermarks(topic, partition)
        position = self._start(topic, partition, since_ms) if start is None else start
        if position >= high:
            return
        self._consumer.assign([TopicPartition(topic, partition, position)])
        while position < high:
            messages = self._consumer.consume(_POLL_RECORDS, timeout=_TIMEOUT_SECONDS)
            if not messages:
                # compaction or transaction markers may leave nothing behind the last records
                at = self._consumer.position([TopicPartition(topic, partition)])[0].offset
                if at >= high:
                    return
                raise PushcastError(f"no records from {topic}/{partition} within {_TIMEOUT_SECONDS:.0f} s")
            for message in messages:
                if message.error():
                    raise KafkaException(message.error())
                position = _offset(message) + 1
                if position <= high:
                    yield message


def _offset(message: Message) -> int:
    """A consumed record has an offset; the library's type allows None for produced ones."""
    return cast(int, message.offset())


def _headers(message: Message) -> Sequence[tuple[str, bytes]]:
    return cast(Sequence[tuple[str, bytes]], message.headers() or ())
