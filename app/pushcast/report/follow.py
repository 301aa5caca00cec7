"""Follows the books of the partitions that Kafka assigns, on a thread of its own, and keeps their stores open."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Message, TopicPartition

from pushcast.kafka.clients import open_consumer
from pushcast.kafka.offsets import watermarks
from pushcast.model.errors import PushcastError
from pushcast.report import consumed
from pushcast.report.apply import OF_USERS, BookEntry
from pushcast.report.asking_schemas import AskedSchemas, RegistryAway
from pushcast.report.events import WITHOUT_REGISTRY, EventDecoders
from pushcast.report.freshness import Freshness
from pushcast.report.holding import HeldBooks
from pushcast.report.modes import EVERYTHING, Modes
from pushcast.report.notes import WITHIN_SECONDS
from pushcast.report.rows import DAY_MS
from pushcast.report.slo import ServiceLevel
from pushcast.report.store import PartitionStore
from pushcast.report.unmatched import UnmatchedEvents
from pushcast.report.unpublished import Unpublished
from pushcast.stream.ports import Fatal
from pushcast.wire import topics
from pushcast.wire.newer import NewerSchema

logger = logging.getLogger(__name__)

#: Kafka's client mixes partitions: of 2,000 records 350 were of one, and what is done once for all of a partition took
#: a sixth of the time.
BATCH_RECORDS: Final = 8000
BATCH_BYTES: Final = 4 << 20
#: What is written to a store in one go. A planned record of a campaign makes a row of each 60 bytes: of 512 KiB the
#: reader's heap grew by 100 MB, of 64 KiB by 20, and neither took less CPU.
PART_BYTES: Final = 512 << 10
PLANNED_PART_BYTES: Final = 64 << 10
POLL_SECONDS: Final = 0.2
ANSWER_SECONDS: Final = 10.0
DROP_EVERY_SECONDS: Final = 3600.0
OVERDUE_EVERY_SECONDS: Final = 30.0
#: Sums are kept at least so long: those of chats are as many as their deliveries.
KEEP_SUMS_MS: Final = 90 * DAY_MS
#: With fewer records to read, what has no receipt is late; with more, its receipt may not have been read yet.
CAUGHT_UP_RECORDS: Final = 10_000


class Follower:
    """Stores of the assigned partitions. `stores` may be read on any thread; a store closes when its partition goes."""

    def __init__(
        self,
        client: Mapping[str, Any],
        group: str,
        folder: Path,
        logs: Mapping[str, str],
        *,
        keep_days: int,
        partitions: int,
        level: ServiceLevel | None = None,
        modes: Modes = EVERYTHING,
        schemas: AskedSchemas | None = None,
        fatal: Fatal,
        moved: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`logs`: id of the log of each book that is there. `schemas`: of Confluent frames; without them those are not
        readable. `moved`: called on the thread after a change."""
        self._client = client
        self._group = group
        self._folder = folder
        self._logs = logs
        self._modes = modes
        self._schemas = schemas
        self._events = WITHOUT_REGISTRY if schemas is None else EventDecoders(schemas.source)
        self._keep_ms, self._partitions = keep_days * DAY_MS, partitions
        self._fatal = fatal
        self._moved = moved
        self._clock = clock
        self.level = level or ServiceLevel(WITHIN_SECONDS[-1], round(clock() * 1000))
        self.stores: dict[int, PartitionStore] = {}
        self.lock = threading.RLock()  # held by readers of stores, and while one is closed
        self.unpublished = Unpublished(self.stores, self.lock)
        self.overdue: dict[int, Counter[str]] = {}  # by partition, by class: deliveries that should have ended
        self._unmatched = UnmatchedEvents(self.stores, self.whole)
        self._freshness = Freshness()
        self.applied = 0  # records, since the start
        self._held = HeldBooks()
        self._behind: dict[tuple[str, int], int] = {}
        # Books whose end was not reached since the assignment. Never changed in place: other threads go through it.
        self._catching_up: set[tuple[str, int]] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="report", daemon=True)

    def start(self) -> None:
        """Begins to follow."""
        self._thread.start()

    def close(self) -> None:
        """Blocks until the thread has ended and the stores are closed."""
        self._stop.set()
        self._thread.join()

    @property
    def waits(self) -> str | None:
        """Why records of some book and partition are not applied, if so."""
        return self._held.waits

    def behind(self) -> dict[tuple[str, int], int]:
        """Records of each book and partition that are written and not applied, as far as was heard."""
        return dict(self._behind)

    def whole(self, partition: int) -> bool:
        """Whether its store has had everything that there was when it came here. Until then answers are of a part."""
        return not any(each == partition for _, each in self._catching_up)

    def as_of(self, partition: int) -> int | None:
        """Until when everything that was written, as far as was heard, is in its store; milliseconds since the epoch.
        None: it has not caught up."""
        return self._freshness.as_of((topic, partition) for topic in self._logs) if self.whole(partition) else None

    def unmatched(self) -> dict[str, int]:
        """Events that fit no delivery, by app, since the start."""
        return dict(self._unmatched.counts)

    def row_count(self) -> int:
        """Of all stores, as RocksDB estimates it."""
        with self.lock:
            return sum(store.count() for store in self.stores.values())

    def unreadable(self) -> Counter[tuple[str, str]]:
        """Records that were left out, by book and reason."""
        found: Counter[tuple[str, str]] = Counter()
        with self.lock:
            for store in self.stores.values():
                for topic in self._logs:
                    for reason, count in store.meta(topic).unreadable.items():
                        found[topic, reason] += count
        return found

    def _run(self) -> None:
        try:
            # Range gives one member the same partition of every book.
            consumer = open_consumer(
                self._client,
                self._group,
                auto_offset_reset="earliest",
                partition_assignment_strategy="range",
                fetch_wait_max_ms=100,
                enable_partition_eof=True,
                queued_max_messages_kbytes=16_384,
            )
            consumer.subscribe(
                sorted(self._logs), on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._revoked
            )
            try:
                self._follow(consumer)
            finally:
                consumer.close()
                self._close(list(self.stores))
        except KafkaException as error:
            self._fatal("reports", consumed.SlotLost(str(error)) if consumed.is_fenced(error) else error)
        except Exception as error:
            self._fatal("reports", error)

    def _follow(self, consumer: Consumer) -> None:
        dropped_at = looked_at = 0.0
        reads = consumed.ReadSize(BATCH_RECORDS, BATCH_BYTES)
        while not self._stop.is_set():
            self._held.try_again(consumer)
            messages = consumer.consume(reads.records, POLL_SECONDS)
            now = time.monotonic()
            if now - dropped_at > DROP_EVERY_SECONDS:
                dropped_at = now
                for store in self.stores.values():
                    now_ms = round(self._clock() * 1000)
                    store.drop_before(now_ms - self._keep_ms, now_ms - max(self._keep_ms, KEEP_SUMS_MS))
            if messages:
                reads.saw(*self._apply(consumer, messages))
            self.unpublished.note_published()
            if now - looked_at > OVERDUE_EVERY_SECONDS:
                looked_at, now_ms = now, round(self._clock() * 1000)
                whole = {number: store for number, store in self.stores.items() if self.whole(number)}
                self.overdue = {number: store.overdue(now_ms) for number, store in whole.items()}
            self._ask_behind(consumer)
            self._unmatched.decide(round(self._clock() * 1000))
            if sum(self._behind.values()) < CAUGHT_UP_RECORDS:
                self.level.decide(round(self._clock() * 1000))

    def _apply(self, consumer: Consumer, messages: Iterable[Message]) -> tuple[int, int]:
        """Returns how many records they were, and how many bytes."""
        found = consumed.sorted_out(messages)
        runs, ended = found
        for (topic, partition), entries in runs.items():
            store = self.stores.get(partition)
            if store is not None:
                part_bytes = PLANNED_PART_BYTES if topic == topics.PLANNED else PART_BYTES
                for part in consumed.in_parts(entries, part_bytes):
                    if not self._apply_run(consumer, store, topic, partition, part):
                        break
        reached = {place: end for place, end in ended.items() if place not in self._held}
        self._catching_up = self._catching_up - reached.keys()
        for place, end in reached.items():
            self._freshness.reached(place, end)
        return found.size()

    def _apply_run(
        self, consumer: Consumer, store: PartitionStore, topic: str, partition: int, entries: Sequence[BookEntry]
    ) -> bool:
        """Whether they are applied; else they are read again."""
        place = topic, partition
        try:
            if topic in OF_USERS:
                entries = consumed.at_home(entries, partition, self._partitions)
                if self._schemas is not None:  # passed over now, an erasure would be passed over for good
                    self._schemas.require(entry.value for entry in entries)
            seen = store.apply(topic, entries)
        except (NewerSchema, RegistryAway) as error:
            self._held.hold(consumer, place, entries[0].offset, error)
            return False
        self._held.applied(place)
        self.applied += len(entries)
        now_ms = round(self._clock() * 1000)
        self.level.take(seen, now_ms)
        if store.unmatched:
            self._unmatched.take(partition, store.unmatched, now_ms)
            store.unmatched.clear()
        return True

    def _ask_behind(self, consumer: Consumer) -> None:
        now_ms = round(self._clock() * 1000)
        for partition, store in self.stores.items():
            for topic, offset in store.offsets().items():
                # What the client was told with its last fetch: costs no request.
                _, end = consumer.get_watermark_offsets(TopicPartition(topic, partition), cached=True)
                if end >= 0:
                    place = topic, partition
                    self._behind[place] = self._freshness.behind(place, end, offset)
                    self._freshness.saw(place, end, offset, now_ms)

    def _assigned(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        starts: list[TopicPartition] = []
        with self.lock:
            for each in partitions:
                store = self.stores.get(each.partition)
                if store is None:
                    path = self._folder / str(each.partition)
                    store = self.stores[each.partition] = PartitionStore(path, self._logs, self._modes, self._events)
            for each in partitions:
                store = self.stores[each.partition]
                end = self._end(consumer, each)
                if end is not None and store.meta(each.topic).offset > end:
                    store.make_anew(f"{each.topic}[{each.partition}] ends at {end}, and more of it was applied")
            self._catching_up = self._catching_up | {(each.topic, each.partition) for each in partitions}
            for each in partitions:
                offset = self.stores[each.partition].meta(each.topic).offset
                starts.append(TopicPartition(each.topic, each.partition, offset or OFFSET_BEGINNING))
        consumer.assign(starts)
        self._moved()

    def _end(self, consumer: Consumer, place: TopicPartition) -> int | None:
        """None: Kafka does not say now. A log that was cut shows when its records are read, or at the next start."""
        try:
            return watermarks(consumer, place.topic, place.partition, ANSWER_SECONDS)[1]
        except PushcastError as error:
            logger.warning("%s", error)
            return None

    def _revoked(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._held.let_go(consumer, {each.partition for each in partitions})
        self._close([each.partition for each in partitions])
        self._moved()

    def _close(self, partitions: Collection[int]) -> None:
        with self.lock:
            for partition in set(partitions):
                store = self.stores.pop(partition, None)
                if store is not None:
                    store.close()
        self._freshness.forget(partitions)
        self._catching_up = {place for place in self._catching_up if place[1] in self.stores}
        self._behind = {place: count for place, count in self._behind.items() if place[1] in self.stores}
