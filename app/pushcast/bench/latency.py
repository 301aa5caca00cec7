"""`bench latency`: one urgent event at a time on an idle system, produced → its send batch readable."""

from __future__ import annotations

import time
from typing import Any

from confluent_kafka import OFFSET_END, Consumer, Producer, TopicPartition

from pushcast.bench.base import Options, Result, percentiles
from pushcast.bench.cluster import BenchCluster, bench_cluster, role
from pushcast.bench.planning import Produced, events, load_devices
from pushcast.model.errors import PushcastError
from pushcast.model.words import Lane, Platform
from pushcast.wire.topics import notification, send

NAME = "latency/urgent"
ITEMS = 1000
#: The broker's JVM compiles its request path during its first 300 requests or so, at the same ones in every run, and
#: stalls for 50 ms at a time; a broker that has been up for a minute does not.
WARM_UP_ITEMS = 500
USERS = 1000
PAUSE_SECONDS = 0.02
ANSWER_SECONDS = 10.0
LANE = Lane.URGENT
CONFIGURATION = {"apps": {"news": {}}, "classes": {"default": {"lane": "urgent", "window_seconds": 0}}}


def run(options: Options) -> Result:
    """Chat-like events to users in turn over all partitions, a window of 0, one event under way at a time."""
    items = options.items or ITEMS
    setup: dict[str, Any] = {
        "users": USERS,
        "warm_up_items": WARM_UP_ITEMS,
        "window_seconds": 0,
        "pause_seconds": PAUSE_SECONDS,
    }
    now_ms = time.time_ns() // 1_000_000
    with bench_cluster(options, CONFIGURATION) as cluster:
        partitions = setup["partitions"] = cluster.settings.kafka.partitions
        load_devices(cluster, range(USERS), now_ms)
        with role(cluster, "planner", "--lane", LANE, "--slot", "b") as process:
            probe = Probe(cluster)
            try:
                made = list(events("chat", "json", WARM_UP_ITEMS + items, USERS, "l", partitions, now_ms))
                options.say(f"{items} events, one at a time")
                for each in made[:WARM_UP_ITEMS]:
                    probe.milliseconds(each)
                start = process.reading()
                latencies = [probe.milliseconds(each) for each in made[WARM_UP_ITEMS:]]
                return Result([process.row(NAME, items, start, percentiles(latencies))], setup)
            finally:
                probe.close()


class Probe:
    """Produces an event and reads the send topics until its batch is there, in one process and on one clock."""

    def __init__(self, cluster: BenchCluster, lane: Lane = LANE) -> None:
        self._topic = notification(lane)
        self._producer = Producer({**cluster.client, "acks": "all", "linger.ms": 0, "log_level": 0})
        self._consumer = Consumer({**cluster.client, "group.id": "pushcast-bench-latency", "enable.auto.commit": False})
        self._consumer.assign(
            [
                TopicPartition(send(platform, lane), number, OFFSET_END)
                for platform in (Platform.APNS, Platform.FCM)
                for number in range(cluster.settings.kafka.partitions)
            ]
        )
        self._consumer.poll(1.0)  # it is at the ends from here on

    def milliseconds(self, produced: Produced) -> float:
        """From just before the event is produced until its batch was read; then a pause."""
        partition, key, value = produced
        began = time.perf_counter()
        self._producer.produce(self._topic, value, key, partition)
        self._producer.poll(0)
        while True:
            message = self._consumer.poll(ANSWER_SECONDS)
            if message is None:
                raise PushcastError(f"no send batch within {ANSWER_SECONDS:.0f} s")
            if message.error() is None and key in (message.value() or b""):
                took = (time.perf_counter() - began) * 1000
                time.sleep(PAUSE_SECONDS)
                return took

    def close(self) -> None:
        self._consumer.close()
        self._producer.flush(ANSWER_SECONDS)
