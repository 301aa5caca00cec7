"""Spans on the broker that librdkafka has inside: real fetches, and a log that drops what is too large for it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from confluent_kafka import Producer

from pushcast.kafka.handover import reading
from pushcast.kafka.handover.reading import SpanReader, TailUnreadable

#: More than the 5 MB that the broker keeps of a partition: the log is empty afterwards, its end is not 0.
TOO_LARGE = bytes(8_000_000)


@pytest.fixture
def broker() -> Iterator[str]:
    host = Producer({"bootstrap.servers": "none", "test.mock.num.brokers": 1, "log_level": 0})
    [found] = host.list_topics(timeout=10).brokers.values()
    yield f"{found.host}:{found.port}"
    host.flush(1)


def write(broker: str, topic: str, partition: int, *values: bytes) -> None:
    producer = Producer({"bootstrap.servers": broker, "message.max.bytes": 2 * len(TOO_LARGE)})
    for value in values:
        producer.produce(topic, value, partition=partition)
    assert producer.flush(20) == 0


async def read(broker: str, spans: dict[tuple[str, int], tuple[int, int]]) -> list[tuple[str, int, int]]:
    found: list[tuple[str, int, int]] = []
    reader = SpanReader(broker)
    await reader.read(spans, lambda each: found.append((each.topic(), each.partition(), each.offset())))  # type: ignore[arg-type]
    return found


async def test_every_record_of_the_spans_is_read_and_none_beyond(broker: str) -> None:
    for partition in (0, 1):
        write(broker, "a", partition, *[b"x"] * 6)
    spans = {("a", 0): (2, 5), ("a", 1): (0, 6)}
    wanted = [("a", 0, at) for at in range(2, 5)] + [("a", 1, at) for at in range(6)]
    assert sorted(await read(broker, spans)) == wanted


async def test_a_log_that_retention_took_whole_has_been_read(broker: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "SILENCE_SECONDS", 5.0)
    write(broker, "a", 0, b"x", b"x", TOO_LARGE)
    write(broker, "a", 1, b"x")
    assert await SpanReader(broker).ends([("a", 0), ("a", 1)]) == {("a", 0): 3, ("a", 1): 1}
    assert await asyncio.wait_for(read(broker, {("a", 0): (1, 3), ("a", 1): (0, 1)}), 60) == [("a", 1, 0)]


async def test_a_log_that_ends_before_its_span_does_is_told(broker: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "SILENCE_SECONDS", 0.5)
    write(broker, "a", 0, b"x", b"x")
    with pytest.raises(TailUnreadable, match=r"no record within .* from \[\('a', 0\)\]"):
        await asyncio.wait_for(read(broker, {("a", 0): (0, 3)}), 60)
