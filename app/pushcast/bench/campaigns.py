"""Send records as PLAN writes them, in any lane and for any app: the load of benchmarks of whole senders."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Final

import msgspec
from confluent_kafka import Producer

from pushcast.bench.cluster import BenchCluster
from pushcast.bench.messages import messages
from pushcast.model.batch import Message, SendBatch
from pushcast.model.errors import PushcastError
from pushcast.model.words import Lane, Platform
from pushcast.simulators.recorder import MARKER
from pushcast.wire import topics
from pushcast.wire.sending.batches import encode_batch

FLUSH_SECONDS: Final = 300.0
OFFERED_SECONDS: Final = 120.0
BODY_CHARS: Final = 800  # with title, data and quotes a payload of about 1 KB
_MARKER: Final = MARKER.decode().strip('"')


def marked(message: Message, app: str, now_ms: int) -> Message:
    """The message as of another app, with the time that the simulator reckons latencies from."""
    content = msgspec.structs.replace(message.content, data={**(message.content.data or {}), _MARKER: str(now_ms)})
    return replace(message, app=app, content=content)


def campaign(app: str, targets: int, targets_per_record: int) -> Iterator[bytes]:
    """APNs records of the bulk lane, one content each, ids of this moment."""
    now_ms = int(time.time() * 1000)
    for message in messages(Platform.APNS, targets, targets_per_record, body_chars=BODY_CHARS, now_ms=now_ms):
        yield encode_batch(SendBatch(Lane.BULK, Platform.APNS, [replace(message, app=app)]))


def produce(cluster: BenchCluster, lane: Lane, values: Iterable[bytes]) -> None:
    """Writes send records to the partitions in turn; returns when they are acknowledged. Raises PushcastError."""
    partitions = cluster.settings.kafka.partitions
    producer = Producer({**cluster.client, "acks": "all", "linger.ms": 5})
    for number, value in enumerate(values):
        while True:
            try:
                producer.produce(topics.send(Platform.APNS, lane), value, None, number % partitions)
            except BufferError:
                producer.poll(0.1)
            else:
                break
        producer.poll(0)
    left = producer.flush(FLUSH_SECONDS)
    if left:
        raise PushcastError(f"{left} send records could not be produced")


def offer(
    cluster: BenchCluster, topic: str, turns: int, per_second: float, made: Callable[[int], Iterable[tuple[bytes, int]]]
) -> None:
    """Writes what `made` gives for each turn, value and number of its partition, at this rate. Blocks for all turns,
    and until Kafka has everything. Raises PushcastError."""
    producer = Producer({**cluster.client, "acks": "all", "linger.ms": 0})
    partitions = cluster.settings.kafka.partitions
    began = time.monotonic()
    for turn in range(turns):
        for value, number in made(turn):
            producer.produce(topic, value, None, number % partitions)
        producer.poll(0)
        time.sleep(max(0.0, began + (turn + 1) / per_second - time.monotonic()))
    left = producer.flush(OFFERED_SECONDS)
    if left:
        raise PushcastError(f"{left} send records could not be produced")
