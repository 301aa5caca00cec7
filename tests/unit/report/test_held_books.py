"""A reporter whose schema registry is away, or that meets a record of a later release: what it can read goes on, and
nothing is passed over."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaError, TopicPartition

from pushcast.model.clock import ManualClock
from pushcast.report import holding
from pushcast.report.apply import BOOKS
from pushcast.report.asking_schemas import AskedSchemas
from pushcast.report.follow import Follower
from pushcast.report.store import PartitionStore
from pushcast.wire import topics
from pushcast.wire.schemas import FRAME_BYTES, SINGLE_OBJECT_MARKER, SchemaSource, avro_type
from twins.books import CREATED_MS, receipt
from unit.report.test_consumed import Said

LOGS = dict.fromkeys(BOOKS, "cluster/topic")
CHANGE = avro_type("device_change")
FORGET = b"\0\0\0\0\7" + CHANGE.encode({"op": "forget_user"})[FRAME_BYTES:]
NEWER = SINGLE_OBJECT_MARKER + b"newer..." + b"what a later release says"
Place = tuple[str, int]
USERS = (b"w", b"u")  # by their partition of two


class Record(Said):
    """With content, written at `CREATED_MS`."""

    def __init__(self, topic: str, partition: int, offset: int, content: bytes) -> None:
        super().__init__(topic, partition, offset)
        self._content = content

    def value(self) -> bytes:
        return self._content

    def key(self) -> bytes:
        return USERS[self.partition()]

    def timestamp(self) -> tuple[int, int]:
        return 1, CREATED_MS


def end(topic: str, partition: int, offset: int) -> Said:
    return Said(topic, partition, offset, KafkaError._PARTITION_EOF)


class PausingConsumer:
    """What it was told, in order."""

    def __init__(self) -> None:
        self.paused: set[Place] = set()
        self.sought: dict[Place, int] = {}

    def pause(self, places: Iterable[TopicPartition]) -> None:
        self.paused |= {(each.topic, each.partition) for each in places}

    def resume(self, places: Iterable[TopicPartition]) -> None:
        self.paused -= {(each.topic, each.partition) for each in places}

    def seek(self, place: TopicPartition) -> None:
        assert (place.topic, place.partition) not in self.paused, "a position that is set while paused may be lost"
        self.sought[place.topic, place.partition] = place.offset


class Registry(SchemaSource):
    """Knows one schema when it answers."""

    def __init__(self) -> None:
        super().__init__()
        self.problem: Exception | None = None
        self.asked = 0
        self.answers = asyncio.Event()
        self.answers.set()

    async def prepare(self, values: Iterable[bytes | None]) -> None:
        self.asked += 1
        await self.answers.wait()
        if self.problem is not None:
            raise self.problem
        self.known[7] = CHANGE.parsed


class Bench:
    """A follower without its thread: the test is it."""

    def __init__(self, folder: Path, schemas: AskedSchemas | None, clock: ManualClock) -> None:
        self.clock = clock
        self.consumer: Any = PausingConsumer()
        self.follower = Follower(
            {},
            "group",
            folder,
            LOGS,
            keep_days=30,
            partitions=2,
            schemas=schemas,
            fatal=lambda *_: pytest.fail("it ended"),
        )
        self.follower._held = holding.HeldBooks(clock.monotonic_seconds)
        for partition in range(2):
            self.follower.stores[partition] = PartitionStore(
                folder / str(partition), LOGS, events=self.follower._events
            )
        self.follower._catching_up = {(topic, partition) for topic in BOOKS for partition in range(2)}

    def apply(self, *records: Any) -> None:
        self.follower._held.try_again(self.consumer)
        self.follower._apply(self.consumer, records)

    def offset(self, place: Place) -> int:
        return self.follower.stores[place[1]].meta(place[0]).offset

    def close(self) -> None:
        for store in self.follower.stores.values():
            store.close()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(0)


CHANGED, ENGAGED, RECEIPTS = (topics.DEVICE_CHANGED, 0), (topics.ENGAGEMENT, 0), (topics.RECEIPT, 0)


async def test_an_erasure_waits_for_a_registry_that_is_away_and_receipts_do_not(
    tmp_path: Path, clock: ManualClock
) -> None:
    registry = Registry()
    registry.problem = ConnectionError("schema registry: ConnectError")
    schemas = AskedSchemas(registry, asyncio.get_running_loop(), clock.monotonic_seconds)
    bench = Bench(tmp_path, schemas, clock)
    forget, taken = Record(*CHANGED, 4, FORGET), Record(*RECEIPTS, 0, receipt("n", "u", "d"))
    await asyncio.to_thread(bench.apply, forget, taken, end(*CHANGED, 5), end(*RECEIPTS, 1))
    assert (bench.offset(CHANGED), bench.offset(RECEIPTS)) == (0, 1)
    assert bench.consumer.paused == {CHANGED}
    assert bench.follower.waits == "schema registry: ConnectError"
    assert CHANGED in bench.follower._catching_up, "its end was seen, and not reached"
    assert RECEIPTS not in bench.follower._catching_up
    assert bench.follower.unreadable() == {}

    clock.advance(holding.REGISTRY_SECONDS)
    await asyncio.to_thread(bench.apply, Record(*RECEIPTS, 1, receipt("n", "u", "e")))
    assert (bench.consumer.paused, bench.consumer.sought) == (set(), {CHANGED: 4})
    assert bench.follower.waits is not None, "receipts that go on are no news of it"
    registry.problem = None
    await asyncio.to_thread(bench.apply, forget, end(*CHANGED, 5))
    assert (bench.offset(CHANGED), bench.follower.waits) == (5, None)
    assert bench.follower.stores[0].forgotten_until("w") == CREATED_MS
    assert CHANGED not in bench.follower._catching_up
    bench.close()


async def test_a_registry_that_is_away_is_asked_once_for_all_partitions(tmp_path: Path, clock: ManualClock) -> None:
    registry = Registry()
    registry.problem = ConnectionError("away")
    bench = Bench(tmp_path, AskedSchemas(registry, asyncio.get_running_loop(), clock.monotonic_seconds), clock)
    await asyncio.to_thread(bench.apply, Record(*CHANGED, 0, FORGET), Record(CHANGED[0], 1, 0, FORGET))
    assert (registry.asked, bench.consumer.paused) == (1, {CHANGED, (CHANGED[0], 1)})
    bench.close()


async def test_a_slow_registry_holds_the_reader_up_once_and_its_late_answer_counts(
    tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pushcast.report.asking_schemas.ANSWER_SECONDS", 0.01)
    registry = Registry()
    registry.answers.clear()
    bench = Bench(tmp_path, AskedSchemas(registry, asyncio.get_running_loop(), clock.monotonic_seconds), clock)
    both = Record(*CHANGED, 0, FORGET), Record(CHANGED[0], 1, 0, FORGET)
    await asyncio.to_thread(bench.apply, *both)
    assert (registry.asked, bench.follower.waits) == (1, "the schema registry has not answered yet")
    registry.answers.set()
    while bench.follower.waits is not None:
        clock.advance(holding.REGISTRY_SECONDS)
        await asyncio.to_thread(bench.apply, *both)
    assert bench.offset(CHANGED) == bench.offset((CHANGED[0], 1)) == 1
    bench.close()


async def test_what_is_in_no_frame_of_the_registry_asks_nobody(tmp_path: Path, clock: ManualClock) -> None:
    registry = Registry()
    registry.problem = ConnectionError("away")
    bench = Bench(tmp_path, AskedSchemas(registry, asyncio.get_running_loop(), clock.monotonic_seconds), clock)
    json, avro = b'{"op":"forget_user"}', CHANGE.encode({"op": "forget_user"})
    await asyncio.to_thread(bench.apply, Record(*CHANGED, 0, json), Record(CHANGED[0], 1, 0, avro))
    assert (registry.asked, bench.follower.waits) == (0, None)
    assert all(bench.follower.stores[each].forgotten_until(user.decode()) for each, user in enumerate(USERS))
    bench.close()


def test_a_record_of_a_later_release_holds_up_its_own_book_and_partition(tmp_path: Path, clock: ManualClock) -> None:
    """A receipt of another partition that came after it said that nothing waits: the partition counted as whole."""
    bench = Bench(tmp_path, None, clock)
    newer, other = Record(*RECEIPTS, 0, NEWER), (topics.RECEIPT, 1)
    bench.apply(newer, Record(*other, 0, receipt("n", "u", "d")), end(*RECEIPTS, 1), end(*other, 1))
    assert (bench.offset(RECEIPTS), bench.offset(other)) == (0, 1)
    assert "waiting until a process of the release" in (bench.follower.waits or "")
    assert RECEIPTS in bench.follower._catching_up
    assert other not in bench.follower._catching_up
    clock.advance(holding.NEWER_SECONDS)
    bench.apply()
    assert (bench.consumer.paused, bench.consumer.sought) == (set(), {RECEIPTS: 0})
    bench.close()


def test_a_partition_that_went_to_another_process_is_no_longer_waited_for(tmp_path: Path, clock: ManualClock) -> None:
    bench = Bench(tmp_path, None, clock)
    bench.apply(Record(*RECEIPTS, 0, NEWER))
    bench.follower._revoked(bench.consumer, [TopicPartition(*RECEIPTS)])
    clock.advance(holding.NEWER_SECONDS)
    bench.apply()
    assert (bench.follower.waits, bench.consumer.paused, bench.consumer.sought) == (None, set(), {})
    bench.close()


class Misplaced(Record):
    """Of a user of the other partition."""

    def key(self) -> bytes:
        return USERS[1 - self.partition()]


def test_what_was_told_of_a_user_in_another_partition_counts_where_a_stage_writes_it_again(
    tmp_path: Path, clock: ManualClock
) -> None:
    """An erasure is applied where the user lives: under the name that is here it would have stayed. And the event was
    one that fits no delivery, two hours later."""
    bench = Bench(tmp_path, None, clock)
    event = b'{"event": "opened", "ids": ["n"], "app": "news", "device": "d"}'
    bench.apply(Misplaced(*ENGAGED, 0, event), Misplaced(*CHANGED, 0, b'{"op":"forget_user"}'))
    names = [key for key, _ in bench.follower.stores[0].rows() if USERS[1] + b"\0" in key or key.endswith(USERS[1])]
    assert (names, list(bench.follower._unmatched._waiting), bench.offset(ENGAGED)) == ([], [], 1)
    bench.apply(Record(*ENGAGED, 1, event))
    names = [key for key, _ in bench.follower.stores[0].rows() if USERS[0] + b"\0" in key]
    assert (len(names), bench.offset(ENGAGED)) == (1, 2)
    bench.close()
