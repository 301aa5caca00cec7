"""A settler that is killed, and what a stopped one writes late: each retry record goes on once in effect."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from confluent_kafka import Message, Producer

from flow.kafka_tools import committed, read_all, seen
from flow.processes import worker
from flow.settle_tools import EVERY, PARTITION, PARTITIONS, SEND, ensure, passed_on, waiting
from pushcast.handover.fences import author_of
from pushcast.handover.standing import decode
from pushcast.model.clock import SystemClock
from pushcast.wire import topics
from pushcast.wire.sending.batches import decode_batch

RUNG = topics.retry("10s")
RECORDS = 300


async def test_a_killed_settler_and_a_zombie_pass_nothing_on_twice(
    kafka: str, unique: Callable[[str], str], tmp_path: Path
) -> None:
    ensure(kafka, EVERY)
    users = [unique(f"user-{number}") for number in range(RECORDS)]
    producer, now_ms = Producer({"bootstrap.servers": kafka}), SystemClock().now_ms()

    def wait(user: str) -> None:
        value, headers = waiting(user, now_ms, now_ms)
        producer.produce(RUNG, value, partition=PARTITION, headers=cast(Any, headers))

    for user in users[: RECORDS // 2]:
        wait(user)
    assert producer.flush(10) == 0
    options: dict[str, Any] = {
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
