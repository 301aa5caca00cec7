"""Parked work on a real Kafka: held, carried over pass by pass, and sent once when nothing holds it any more."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from confluent_kafka import Producer

from flow.kafka_tools import committed, read_all, running, seen, until
from flow.settle_tools import EVERY, PARTITION, PARTITIONS, ensure, message, passed_on
from pushcast.config.settings import Settings
from pushcast.kafka.outbox import KafkaOutbox
from pushcast.model.clock import SystemClock
from pushcast.model.words import Lane, Platform
from pushcast.settle import build as settle
from pushcast.settle.exact import build_handover
from pushcast.settle.reads import SOURCES
from pushcast.transport.app import add_batch_stage, make_app
from pushcast.wire import topics
from pushcast.wire.control import control
from pushcast.wire.control.control import Kind, Pause, Subject
from pushcast.wire.control.control_state import ControlState
from pushcast.wire.sending.batches import decode_batch
from pushcast.wire.sending.parked import Why, parked_record

RECORDS = 50


async def test_what_is_paused_is_carried_over_and_sent_once_when_it_resumes(
    kafka: str, unique: Callable[[str], str], tmp_path: Path
) -> None:
    ensure(kafka, EVERY)
    users = {unique(f"user-{number}") for number in range(RECORDS)}
    pause = Subject(Kind.PAUSE, "news", Platform.APNS).key()
    state = ControlState()
    state.apply(pause, control.encode(Pause(1)))
    state.live = True
    settings = Settings.model_validate(
        {"kafka": {"bootstrap_servers": kafka, "partitions": PARTITIONS}, "park": {"pass_seconds": 0.5}}
    )
    failures: list[BaseException] = []
    outbox = KafkaOutbox(kafka, loop=asyncio.get_running_loop(), on_fatal=failures.append)
    handover = build_handover(settings, outbox, SystemClock())
    counters: Counter[tuple[str, str]] = Counter()
    stage = settle.build(settings, outbox, exact=handover, counters=counters, control=state)
    group = unique("settle")
    app = make_app(group, bootstrap_servers=kafka, partitions=PARTITIONS, data_dir=tmp_path)
    add_batch_stage(app, SOURCES, stage, bounds=settle.bounds(settings))
    producer = Producer({"bootstrap.servers": kafka})
    for user in users:
        value, headers = parked_record(
            app="news",
            lane=Lane.URGENT,
            platform=Platform.APNS,
            messages=[message([user])],
            why=Why.PAUSED,
            run=0,
            first_seen_at=1,
            rounds_made=0,
            doubtful=False,
            sent_from="g|1",
        )
        producer.produce(topics.PARKED, value, partition=PARTITION, headers=cast(Any, headers))
    assert producer.flush(10) == 0
    async with running(app):
        await until(lambda: counters["carried", "apns"] >= 2 * RECORDS, "two passes have carried everything over")
        assert passed_on(kafka, users, void=False) == []
        state.apply(pause, None)
        await seen(lambda: len(passed_on(kafka, users)) >= RECORDS, "everything was sent")
        end = await asyncio.to_thread(_end, kafka)
        async with asyncio.timeout(30):
            while (await committed(kafka, group, topics.PARKED, PARTITIONS))[PARTITION][0] != end:
                await asyncio.sleep(0.1)
    assert await outbox.close() == 0
    assert failures == []
    sent = Counter(
        user
        for record in passed_on(kafka, users, void=False)
        for part in decode_batch(record.value() or b"").messages
        for user in part.targets.user
    )
    assert sent == Counter(users)


def _end(kafka: str) -> int:
    return sum(record.partition() == PARTITION for record in read_all(kafka, topics.PARKED, PARTITIONS))
