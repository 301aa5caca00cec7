"""Timers for benchmarks of KEEP, each of another user: written as planners hold them back."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from confluent_kafka import Producer

from pushcast.bench.cluster import BenchCluster, ProcessUnderTest
from pushcast.model.errors import PushcastError
from pushcast.model.ids import partition_of
from pushcast.model.words import Lane
from pushcast.wire import groups, topics
from pushcast.wire.headers import origin
from pushcast.wire.waiting.held import Held, held_headers

LANE: Final = Lane.NORMAL
TIMEOUT_SECONDS: Final = 400.0
EVENT: Final = b'{"id":"n-%d","app":"news","title":"Good morning","body":"What happened while you slept"}'
#: Until what was taken is due: longer than it takes to hold it.
AHEAD_SECONDS_FOR_EACH: Final = 1 / 10_000


def load(
    cluster: BenchCluster, process: ProcessUnderTest, prefix: str, items: int, due_at: Callable[[int], int]
) -> None:
    """Returns when the keeper has committed all of them: their rows are acknowledged. `due_at`: of a number, in
    milliseconds since the epoch."""
    partitions, topic = cluster.settings.kafka.partitions, topics.keep(LANE)
    producer = Producer({**cluster.client, "acks": "all", "linger.ms": 20, "queue.buffering.max.messages": 1_000_000})
    now_ms = time.time_ns() // 1_000_000
    for number in range(items):
        user = f"{prefix}-{number}".encode()
        partition = partition_of(user, partitions)
        held = Held(f"n-{number}", due_at(number), now_ms)
        headers: Any = held_headers(origin(f"plan-{LANE}", partition, 1), number, held, None)
        while True:
            try:
                producer.produce(topic, EVENT % number, user, partition, headers=headers)
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0)
    if left := producer.flush(TIMEOUT_SECONDS):
        raise PushcastError(f"{left} keep records could not be produced")
    ends = cluster.ends(topic)
    process.until(
        lambda: cluster.committed(groups.KEEP, topic) == ends, "all timers are committed", TIMEOUT_SECONDS, 0.5
    )


def ahead(items: int) -> int:
    """When so many timers may be due at the earliest, milliseconds since the epoch."""
    return time.time_ns() // 1_000_000 + round((20 + items * AHEAD_SECONDS_FOR_EACH) * 1000)


def wait_until(due_at: int) -> None:
    """Raises PushcastError when it is later already."""
    if time.time_ns() // 1_000_000 > due_at:
        raise PushcastError("the timers were due before all of them were taken: take fewer (--items)")
    time.sleep(max(0.0, due_at / 1000 - time.time()))


def let_go(cluster: BenchCluster) -> int:
    """Due records so far."""
    return sum(cluster.ends(topics.due(LANE)))
