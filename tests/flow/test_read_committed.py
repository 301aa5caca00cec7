"""What a producer aborts was never there; what it keeps open is waited for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka import Producer

from flow.kafka_tools import committed, create_topic, lag, produce, running, until
from flow.test_transport import Collect, app_with
from pushcast.handover import reading
from pushcast.handover.reading import SpanReader, TailHeld
from pushcast.kafka.clients import client_config, open_consumer
from pushcast.kafka.offsets import watermarks
from pushcast.kafka.transactions import open_since

PARTITIONS = 4


def transactional(kafka: str, name: str) -> Producer:
    producer = Producer({"bootstrap.servers": kafka, "transactional.id": name})
    producer.init_transactions()
    producer.begin_transaction()
    return producer


def write(producer: Producer, topic: str, partition: int, *values: bytes) -> None:
    for value in values:
        producer.produce(topic, value, partition=partition)
    assert producer.flush(30) == 0


async def test_records_of_an_aborted_transaction_are_not_handled_and_those_of_a_committed_one_once(
    kafka: str, unique: Callable[[str], str], tmp_path: Path
) -> None:
    topic, group = create_topic(kafka, unique("in"), PARTITIONS), unique("group")
    stage = Collect()
    app = app_with(stage, kafka, group, topic, tmp_path)
    async with running(app):
        aborted = await asyncio.to_thread(transactional, kafka, unique("aborting"))
        await asyncio.to_thread(write, aborted, topic, 0, b"aborted", b"aborted")
        kept = await asyncio.to_thread(transactional, kafka, unique("t"))
        await asyncio.to_thread(write, kept, topic, 1, b"kept", b"kept too")
        await asyncio.to_thread(aborted.abort_transaction)
        await asyncio.to_thread(kept.commit_transaction)
        await asyncio.to_thread(produce, kafka, topic, [(0, None, b"after")])
        await until(lambda: len(stage.values) == 3, "what was committed is handled")
        assert dict(stage.values) == {b"kept": 1, b"kept too": 1, b"after": 1}
        await until(lambda: lag(app) == 0, "no marker is left as lag")
    found = await committed(kafka, group, topic)
    assert {each: found[each][0] for each in (0, 1)} == {0: 4, 1: 3}


async def test_an_open_transaction_holds_its_own_partition_and_no_other(
    kafka: str, unique: Callable[[str], str], tmp_path: Path
) -> None:
    topic, group = create_topic(kafka, unique("in"), PARTITIONS), unique("group")
    stage = Collect()
    app = app_with(stage, kafka, group, topic, tmp_path)
    async with running(app):
        unsure = await asyncio.to_thread(transactional, kafka, unique("t"))
        await asyncio.to_thread(write, unsure, topic, 0, b"open")
        await asyncio.to_thread(produce, kafka, topic, [(0, None, b"behind"), (1, None, b"beside")])
        await until(lambda: bool(stage.values), "the other partition goes on")
        assert set(stage.values) == {b"beside"}
        await asyncio.to_thread(unsure.commit_transaction)
        await until(lambda: len(stage.values) == 3, "what waited is handled")


async def test_ends_and_spans_are_those_of_committed_records(kafka: str, unique: Callable[[str], str]) -> None:
    topic, spot = create_topic(kafka, unique("in"), 1), 0
    await asyncio.to_thread(produce, kafka, topic, [(0, None, b"before")])
    unsure = await asyncio.to_thread(transactional, kafka, unique("t"))
    await asyncio.to_thread(write, unsure, topic, 0, b"open")
    reader = SpanReader(kafka)
    assert await reader.ends([(topic, spot)]) == {(topic, spot): 1}
    assert await reader.written([(topic, spot)]) == {(topic, spot): 2}
    consumer = open_consumer(client_config(kafka, None), "reader")
    try:
        assert await asyncio.to_thread(watermarks, consumer, topic, 0) == (0, 1)
    finally:
        consumer.close()
    await asyncio.to_thread(unsure.abort_transaction)
    deadline = time.monotonic() + 30
    while await reader.ends([(topic, spot)]) != {(topic, spot): 3}:  # the marker follows the answer
        assert time.monotonic() < deadline, "the end does not pass the marker"
    read: list[bytes | None] = []
    await reader.read({(topic, spot): (0, 3)}, lambda message: read.append(message.value()))
    assert read == [b"before"]


async def test_a_tail_behind_a_strangers_open_transaction_is_waited_for_and_the_transaction_named(
    kafka: str, unique: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "SILENCE_SECONDS", 2.0)
    topic = create_topic(kafka, unique("out"), 1)
    unsure = await asyncio.to_thread(transactional, kafka, unique("t"))
    await asyncio.to_thread(write, unsure, topic, 0, b"open")
    await asyncio.to_thread(produce, kafka, topic, [(0, None, b"ours")])
    reader, read = SpanReader(kafka), list[bytes | None]()
    spans = {(topic, 0): (0, (await reader.written([(topic, 0)]))[topic, 0])}
    with pytest.raises(TailHeld, match=rf"waits for a transaction on {topic}\[0\]"):
        await reader.read(spans, lambda message: read.append(message.value()))
    assert read == []
    since = await asyncio.to_thread(open_since, client_config(kafka, None), {(topic, 0): 0})
    assert abs(since[topic, 0] - time.time() * 1000) < 60_000
    await asyncio.to_thread(unsure.abort_transaction)
    await reader.read(spans, lambda message: read.append(message.value()))
    assert read == [b"ours"]
