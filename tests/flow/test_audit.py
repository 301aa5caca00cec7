"""The reckoning on a real Kafka: what does not balance is named, with the place where it is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any

from confluent_kafka import Message as KafkaMessage
from confluent_kafka import Producer

from flow.kafka_tools import DEADLINE_SECONDS
from flow.settle_tools import PARTITIONS, ensure, message
from pushcast.audit.places import PLACES
from pushcast.audit.reader import Books
from pushcast.config.settings import Settings
from pushcast.model.batch import SendBatch
from pushcast.model.ids import partition_of
from pushcast.model.words import Lane, Platform
from pushcast.wire import topics
from pushcast.wire.answers.receipts import Planned, encode_planned
from pushcast.wire.sending.batches import encode_batch

LANE = Lane.BULK
INTAKE = topics.notification(LANE)


class Writer:
    """Writes records of one user's partition and knows their offsets."""

    def __init__(self, servers: str, user: str) -> None:
        self.user = user
        self.partition = partition_of(user.encode(), PARTITIONS)
        self._producer = Producer({"bootstrap.servers": servers})

    def write(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None = None,
        headers: Sequence[tuple[str, bytes | None]] = (),
    ) -> int:
        offsets: list[int] = []

        def delivered(error: object, written: KafkaMessage) -> None:
            assert error is None, error
            offsets.append(written.offset() or 0)

        self._producer.produce(topic, value, key, self.partition, headers=list(headers), on_delivery=delivered)
        assert self._producer.flush(DEADLINE_SECONDS) == 0
        return offsets[0]

    def notify(self) -> int:
        return self.write(INTAKE, b"{}", self.user.encode())

    def plan(self, offset: int, note: str) -> None:
        planned = Planned(LANE)
        planned.add(offset, note, {"apns": 1})
        self.write(topics.PLANNED, encode_planned(planned, 1))

    def deliver(self, topic: str, offset: int, note: str) -> None:
        part = message([self.user])
        part.notification_ids = [note]
        part.targets.source_offset = [offset]
        self.write(topic, encode_batch(SendBatch(LANE, "apns", [part])))


async def test_what_does_not_balance_is_named_with_its_place(kafka: str, unique: Callable[[str], str]) -> None:
    lanes = [topics.notification(lane) for lane in Lane]
    ensure(kafka, (*lanes, *map(topics.dead_letter, lanes), topics.PLANNED, topics.RECEIPT, *(t for _, t, _ in PLACES)))
    writer = Writer(kafka, unique("user"))
    since_ms = time.time_ns() // 1_000_000
    expected: dict[int, tuple[str, str]] = {}
    for note, topic in (
        ("retry", topics.retry("5m")),
        ("parked", topics.PARKED),
        ("lag", topics.send(Platform.APNS, LANE)),
        ("lost", None),
    ):
        offset = writer.notify()
        writer.plan(offset, note)
        if topic is not None:
            writer.deliver(topic, offset, note)
        expected[offset] = (note, note)
    expected[writer.notify()] = ("", "lag")
    settings = Settings.model_validate({"kafka": {"bootstrap_servers": kafka, "partitions": PARTITIONS}})

    def reckon() -> Any:
        with Books(settings) as books:
            totals = books.reckon(since_ms)
            books.name_members(totals.unbalanced)
            return totals

    totals = await asyncio.to_thread(reckon)
    mine = [row for row in totals.unbalanced if row["partition"] == writer.partition and row["lane"] == LANE]
    assert {row["offset"]: (row["notification"], row["where"]) for row in mine} == expected
    waits = {row["notification"]: (row["topic"], row["members"]) for row in mine}
    assert waits["lag"] == (topics.send(Platform.APNS, LANE), 0), "faults.md P2-20: nobody reads it"
    assert waits["retry"] == (topics.retry("5m"), 0)
    assert waits["lost"] == (None, None)
    assert totals.unaccounted >= len(expected)
    assert not totals.balanced
