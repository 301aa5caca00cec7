"""Reads the books from Kafka, a partition at a time, up to the ends that the topics had when it began."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, cast

from confluent_kafka import OFFSET_END, Consumer, KafkaException, Message, TopicPartition

from pushcast.audit.places import PLACES, Search
from pushcast.audit.reckoning import MAX_LISTED, MOVING, Key, PartitionAccounts, Totals
from pushcast.audit.writers import Writers
from pushcast.config.settings import Settings
from pushcast.handover.fences import author_of
from pushcast.kafka.clients import client_config, open_consumer
from pushcast.kafka.headers import headers_of
from pushcast.kafka.offsets import watermarks
from pushcast.kafka.topics import load_topology
from pushcast.model.errors import PushcastError
from pushcast.model.ids import partition_of
from pushcast.model.words import Lane
from pushcast.wire import groups, topics
from pushcast.wire import headers as h
from pushcast.wire.dead_letters import STREAMS
from pushcast.wire.receipts import decode_planned, decode_receipt

_POLL_RECORDS = 5000
_POLL_SECONDS = 0.2
_TIMEOUT_SECONDS = 15.0
#: Read before the first record that is judged, for the fences: a stopped process that wakes up writes within minutes.
FENCES_BEFORE_MS = 15 * 60 * 1000
#: A producer's clock may be ahead of a planner's, which would then seem to have planned before.
CLOCKS_DIFFER_MS = 15 * 60 * 1000
#: The two sides of every account.
BOOKS = (topics.PLANNED, topics.RECEIPT)


@dataclass(frozen=True, slots=True)
class Lag:
    """Records of a topic that a group has not finished."""

    group: str
    topic: str
    records: int


planner_group = groups.plan


class Books:
    """A reader of one cluster. Not thread-safe; close it."""

    def __init__(self, settings: Settings) -> None:
        self._partitions = settings.kafka.partitions
        self._client = {
            **client_config(settings.kafka.bootstrap_servers, settings.kafka.security, tool=True),
            "auto.offset.reset": "earliest",
            "fetch.wait.max.ms": 50,
        }
        self._consumer = open_consumer(self._client, "pushcast-audit")
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
        """Judges every notification produced since `since_ms` (None: as far back as all topics reach).

        `on_receipt` sees every distinct receipt once.
        """
        totals = Totals()
        commits = {lane: self._committed(planner_group(lane), topics.notification(lane)) for lane in Lane}
        for partition in range(self._partitions):
            accounts = PartitionAccounts(partition)
            intakes = {topics.notification(lane): lane for lane in Lane}
            dead = {topics.dead_letter(topic): lane for topic, lane in intakes.items()}
            wanted = [*intakes, *dead, topics.PLANNED, topics.RECEIPT]
            judged_ms = self._judged_from(partition, since_ms)
            starts = {topic: self._start(topic, partition, judged_ms) for topic in wanted}
            writers = {topic: Writers() for topic in BOOKS}
            from_ms = None if judged_ms is None else max(0, judged_ms - FENCES_BEFORE_MS)
            read_to = watermarks(self._consumer, topics.RECEIPT, partition)[1]
            early = {topic: self._start(topic, partition, from_ms) for topic in writers}
            for message in self._read(partition, {**starts, **early}):
                topic, value = str(message.topic()), message.value()
                if topic in writers and not writers[topic].admit(author_of(headers_of(message)), _offset(message)):
                    continue
                if _offset(message) < starts[topic]:
                    continue
                if topic == topics.RECEIPT:
                    if value and accounts.receipt(receipt := decode_receipt(value)):
                        on_receipt(receipt)
                elif topic == topics.PLANNED:
                    if value:
                        accounts.planned(decode_planned(value))
                elif topic in dead:
                    offset = h.first(headers_of(message), STREAMS + "offset")
                    if offset is not None:
                        accounts.excuse(dead[topic], int(offset))
                else:
                    accounts.intake(intakes[topic], _offset(message))
                    if h.first(headers_of(message), h.FORWARDED) is None and self._is_foreign(message):
                        accounts.excuse(intakes[topic], _offset(message))
            first = {str(lane): starts[topic] for topic, lane in intakes.items()}
            totals.void_records += sum(each.void for each in writers.values())
            wanted_places = accounts.open(first, MAX_LISTED - len(totals.unbalanced))
            places = self._places(partition, wanted_places, read_to)
            accounts.settle(totals, {str(lane): commits[lane][partition] for lane in Lane}, first, places)
            progress(partition)
        return totals

    def _places(self, partition: int, wanted: set[Key], read_to: int) -> dict[Key, str]:
        """Where the deliveries of these accounts are; one that is nowhere is left out.

        `read_to`: of the receipts. While anything moves, what is not found may have gone from a topic that was not
        read yet to one that was.
        """
        if not wanted:
            return {}
        search = Search(wanted)
        ends = {topics.RECEIPT: read_to}
        starts: dict[str, int] = {}
        for group, topic, _ in PLACES:
            low, ends[topic] = watermarks(self._consumer, topic, partition)
            if low < ends[topic]:
                starts[topic] = max(low, self._committed(group, topic)[partition])
        for message in self._read(partition, starts):
            search.record(str(message.topic()), _offset(message), headers_of(message), message.value())
            if search.over:
                return search.found
        moving = any(watermarks(self._consumer, topic, partition)[1] > end for topic, end in ends.items())
        return {**dict.fromkeys(wanted, MOVING), **search.found} if moving else search.found

    def _judged_from(self, partition: int, since_ms: int | None) -> int | None:
        """Time of the oldest notification whose books are whole: retention deletes segments, and does so in one topic
        earlier than in another. None: all of them are."""
        kept: list[int] = [] if since_ms is None else [since_ms]
        for topic in BOOKS:
            low, high = watermarks(self._consumer, topic, partition)
            if low == 0:
                continue
            oldest = next(self._read(partition, {topic: low}), None) if low < high else None
            if oldest is None:
                retention_ms = int(load_topology().topic(topic).settings["retention.ms"])
                oldest_ms = time.time_ns() // 1_000_000 - retention_ms
            else:
                oldest_ms = int(oldest.timestamp()[1])
            kept.append(oldest_ms + CLOCKS_DIFFER_MS)
        return max(kept, default=None)

    def _is_foreign(self, message: Message) -> bool:
        key = message.key()
        return bool(key) and partition_of(cast(bytes, key), self._partitions) != message.partition()

    def lag(self, group: str, topic: str) -> Lag:
        """Unfinished records of `topic`, all partitions together."""
        records = 0
        for partition, committed in enumerate(self._committed(group, topic)):
            low, high = watermarks(self._consumer, topic, partition)
            records += max(0, high - max(low, committed))
        return Lag(group, topic, records)

    def tombstones(self, topic: str) -> int:
        """Null records that a compacted topic still holds."""
        return sum(
            message.value() is None
            for partition in range(self._partitions)
            for message in self._read(partition, {topic: self._start(topic, partition, None)})
        )

    def end_offsets(self, topic: str) -> list[int]:
        """Next offset to be written, per partition."""
        return [watermarks(self._consumer, topic, partition)[1] for partition in range(self._partitions)]

    def _committed(self, group: str, topic: str) -> list[int]:
        """Committed offset of each partition; 0 where nothing was committed."""
        consumer = self._groups.get(group)
        if consumer is None:
            consumer = self._groups[group] = open_consumer(self._client, group)
        wanted = [TopicPartition(topic, partition) for partition in range(self._partitions)]
        return [max(0, int(found.offset)) for found in consumer.committed(wanted, timeout=_TIMEOUT_SECONDS)]

    def _start(self, topic: str, partition: int, since_ms: int | None) -> int:
        low, high = watermarks(self._consumer, topic, partition)
        if since_ms is None:
            return low
        found = self._consumer.offsets_for_times([TopicPartition(topic, partition, since_ms)], timeout=_TIMEOUT_SECONDS)
        offset = int(found[0].offset)
        return high if offset in (OFFSET_END, -1) else max(low, offset)

    def _read(self, partition: int, starts: dict[str, int]) -> Iterator[Message]:
        """Every record of this partition of several topics, from their starts to the ends that they have now."""
        ends = {topic: watermarks(self._consumer, topic, partition)[1] for topic in starts}
        positions = {topic: start for topic, start in starts.items() if start < ends[topic]}
        self._consumer.assign([TopicPartition(topic, partition, start) for topic, start in positions.items()])
        silent_until = time.monotonic() + _TIMEOUT_SECONDS
        while left := sum(ends[topic] - position for topic, position in positions.items()):
            # `consume` waits for the whole number or the whole timeout: ask for what is there, and not for long
            messages = self._consumer.consume(min(_POLL_RECORDS, left), timeout=_POLL_SECONDS)
            if messages:
                silent_until = time.monotonic() + _TIMEOUT_SECONDS
            else:
                # compaction or transaction markers may leave nothing behind the last records
                for at in self._consumer.position([TopicPartition(topic, partition) for topic in positions]):
                    positions[at.topic] = min(ends[at.topic], max(positions[at.topic], at.offset))
                if time.monotonic() > silent_until:
                    raise PushcastError(f"no records from partition {partition} within {_TIMEOUT_SECONDS:.0f} s")
            for message in messages:
                if message.error():
                    raise KafkaException(message.error())
                topic, position = str(message.topic()), _offset(message) + 1
                if position <= ends[topic]:
                    positions[topic] = position
                    yield message
                else:
                    positions[topic] = ends[topic]


def _offset(message: Message) -> int:
    """A consumed record has an offset; the library's type allows None for produced ones."""
    return cast(int, message.offset())
