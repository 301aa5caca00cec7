"""Deliveries that wait for SETTLE on the run's broker, and what became of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, cast

from confluent_kafka import Message as KafkaMessage

from flow.kafka_tools import ensure_topics, read_all
from pushcast.handover.fences import Fences, author_of
from pushcast.model.batch import Message, Targets
from pushcast.model.clock import SystemClock
from pushcast.model.errors import InvalidInput
from pushcast.model.ids import delivery_id, token_hash
from pushcast.model.notification import Content, Options
from pushcast.model.words import Lane, Platform
from pushcast.settle.reads import RUNGS, SOURCES
from pushcast.wire import topics
from pushcast.wire.sending.batches import decode_batch
from pushcast.wire.sending.retries import retry_record

PARTITIONS, PARTITION = 8, 2
SEND = topics.send(Platform.APNS, Lane.URGENT)
EVERY = (*(topics.send(platform, lane) for platform in Platform for lane in Lane), topics.RECEIPT, *SOURCES)
HOUR_MS = 3_600_000


def ensure(kafka: str, names: Iterable[str] = (SEND, topics.dead_letter(SEND), topics.RECEIPT, *RUNGS)) -> None:
    """Topics that a settler reads and writes."""
    ensure_topics(kafka, names, PARTITIONS)


def message(users: Sequence[str], lifetime_ms: int = HOUR_MS) -> Message:
    targets, now_ms = Targets(), SystemClock().now_ms()
    for number, user in enumerate(users):
        address = f"token of {user}".encode()
        row = (0, user, "d", delivery_id("n", user, "news", "d"), 0, address, "", token_hash(address), now_ms, number)
        for column, value in zip(targets.columns(), (*row, now_ms + lifetime_ms, 0), strict=True):
            column.append(value)
    return Message("news", "default", Content("Goal!"), Options(), bytes(16), ["n"], [now_ms], [""], targets)


def waiting(user: str, due_at: int, now_ms: int) -> tuple[bytes, list[tuple[str, bytes | None]]]:
    """Value and headers of a retry record with one delivery, as SEND writes it."""
    return retry_record(
        lane="urgent",
        platform="apns",
        messages=[message([user])],
        run=0,
        first_seen_at=now_ms,
        rounds_made=1,
        due_at=due_at,
        doubtful=False,
        sent_from="g|1",
    )


def values_of(kafka: str, topic: str, users: set[str]) -> list[KafkaMessage]:
    """Batches with a target among these users."""
    found = []
    for record in read_all(kafka, topic, PARTITIONS):
        try:
            batch = decode_batch(record.value() or b"")
        except InvalidInput:  # another test's
            continue
        if any(user in users for part in batch.messages for user in part.targets.user):
            found.append(record)
    return found


def passed_on(kafka: str, users: set[str], *, void: bool = True) -> list[KafkaMessage]:
    """Records of these users in the send topic that count, or all with `void` off."""
    found, fences = [], Fences()
    for record in read_all(kafka, SEND, PARTITIONS):
        if record.partition() != PARTITION:
            continue
        counts = fences.admit(author_of(cast(Any, record.headers())), record.offset() or 0)
        value = record.value()
        if value is None or not (counts or not void):
            continue
        if any(user in users for part in decode_batch(value).messages for user in part.targets.user):
            found.append(record)
    return found
