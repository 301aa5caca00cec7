"""The broker that librdkafka has inside: real fetches without a Kafka. It keeps a little in memory."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from confluent_kafka import Producer

from pushcast.wire.headers import Headers

#: More than the 5 MB that the broker keeps of a partition: nothing is left of the log then, and its end is not 0.
TOO_LARGE = bytes(8_000_000)


@contextlib.contextmanager
def inner_broker(*topics: str) -> Iterator[str]:
    """Its bootstrap servers. `topics` are there from the beginning; others as soon as they are written to."""
    host = Producer({"bootstrap.servers": "none", "test.mock.num.brokers": 1, "log_level": 0})
    [found] = host.list_topics(timeout=10).brokers.values()
    for topic in topics:
        host.list_topics(topic, timeout=10)
    yield f"{found.host}:{found.port}"
    host.flush(1)


def write(
    broker: str, topic: str, partition: int, *values: bytes, timestamp_ms: int = 0, headers: Headers = ()
) -> None:
    """Waits for the acknowledgements. `timestamp_ms` 0: now."""
    producer = Producer({"bootstrap.servers": broker, "message.max.bytes": 2 * len(TOO_LARGE)})
    for value in values:
        producer.produce(topic, value, partition=partition, timestamp=timestamp_ms, headers=list(headers))
    assert producer.flush(20) == 0
