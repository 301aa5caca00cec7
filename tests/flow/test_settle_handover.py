"""A settler that is killed, and what a stopped one writes late: each retry record goes on once in effect."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from confluent_kafka import Message, Producer

from flow.kafka_tools import committed, read_all
from flow.processes import worker
from flow.test_settle import PARTITIONS, SEND, ensure, message, seen
from pushcast.kafka.handover.fences import Fences, author_of
from pushcast.kafka.handover.standing import decode
from pushcast.model.clock import SystemClock
from pushcast.model.words import Lane, Platform
from pushcast.settle.agent import SOURCES
from pushcast.wire import topics
from pushcast.wire.batches import decode_batch
from pushcast.wire.retries import retry_record

PARTITION = 2
RUNG = topics.retry("10s")
RECORDS = 300
EVERY = (*(topics.send(platform, lane) for platform in Platform for lane in Lane), topics.RECEIPT, *SOURCES)


def passed_on(kafka: str, users: set[str], *, void: bool = True) -> list[Message]:
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


async def test_a_killed_settler_and_a_zombie_pass_nothing_on_twice(
    kafka: str, unique: Callable[[str], str], tmp_path: Path
) -> None:
    ensure(kafka, EVERY)
    users = [unique(f"user-{number}") for number in range(RECORDS)]
    producer, now_ms = Producer({"bootstrap.servers": kafka}), SystemClock().now_ms()

    def wait(user: str) -> None:
        value, headers = retry_record(
            lane="urgent",
            platform="apns",
            messages=[message([user])],
            run=0,
            first_seen_at=now_ms,
            rounds_made=1,
            due_at=now_ms,
            doubtful=False,
            sent_from="g|1",
        )
        producer.produce(RUNG, value, partition=PARTITION, headers=cast(Any, headers))

    for user in users[: RECORDS // 2]:
        wait(user)
    assert producer.flush(10) == 0
    options = {
        "bootstrap_servers": kafka,
        "partitions": PARTITIONS,
        "group": unique("settle"),
        "data_dir": str(tmp_path),
    }
    async with worker("settle_worker", **options, commit_interval_seconds=600.0) as first:
        await seen(lambda: len(passed_on(kafka, set(users))) == RECORDS // 2, "what was due was passed on")
        await first.kill()
    offset, metadata = (await committed(kafka, options["group"], RUNG, PARTITIONS))[PARTITION]
    assert offset == 0 or not offset or decode(metadata).fenced == 0, "nothing but the claim is committed"
    for user in users[RECORDS // 2 :]:
        wait(user)
    assert producer.flush(10) == 0
    async with worker("settle_worker", **options, commit_interval_seconds=0.1) as second:
        await seen(lambda: len(passed_on(kafka, set(users))) >= RECORDS, "the rest was passed on")
        end = await asyncio.to_thread(_end, kafka)

        async def done() -> bool:
            return (await committed(kafka, options["group"], RUNG, PARTITIONS))[PARTITION][0] == end

        async with asyncio.timeout(30):
            while not await done():
                await asyncio.sleep(0.1)
        assert await second.stop() == 0
    records = passed_on(kafka, set(users), void=False)
    assert len(records) == RECORDS, "no copy was written at all"
    epochs = {author.epoch for record in records if (author := author_of(cast(Any, record.headers()))) is not None}
    assert len(epochs) == 2, "each settler wrote its part"

    late = next(record for record in records if _epoch(record) == min(epochs))
    producer.produce(SEND, late.value(), partition=PARTITION, headers=cast(Any, late.headers()))
    assert producer.flush(10) == 0
    assert len(passed_on(kafka, set(users), void=False)) == RECORDS + 1
    counted = Counter(
        user
        for record in passed_on(kafka, set(users))
        for part in decode_batch(record.value() or b"").messages
        for user in part.targets.user
    )
    assert counted == Counter(users)


def _epoch(record: Message) -> int:
    author = author_of(cast(Any, record.headers()))
    assert author is not None
    return author.epoch


def _end(kafka: str) -> int:
    return sum(record.partition() == PARTITION for record in read_all(kafka, RUNG, PARTITIONS))
