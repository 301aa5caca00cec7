"""`bench keep`: what waits through a keeper: taken, let go in one instant, found again by a new owner, and capped."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, Final

from confluent_kafka import Producer

from pushcast.bench.base import Options, Result, Row, percentiles
from pushcast.bench.cluster import READY_SECONDS, BenchCluster, ProcessUnderTest, bench_cluster, is_ready, role
from pushcast.bench.latency import Probe
from pushcast.bench.planning import Produced, events, load_devices
from pushcast.model.errors import PushcastError
from pushcast.model.ids import partition_of
from pushcast.model.words import Lane
from pushcast.runtime import whereabouts
from pushcast.runtime.child import child_command
from pushcast.wire import groups, topics
from pushcast.wire.headers import origin
from pushcast.wire.held import Held, held_headers

ITEMS: Final = 200_000
WARM_UP_ITEMS: Final = 5_000
CAPPED_ITEMS: Final = 500
CAPPED_WARM_UP_ITEMS: Final = 200
CAPPED_USERS: Final = 1_000
LANE: Final = Lane.NORMAL
TIMEOUT_SECONDS: Final = 300.0
#: Until what was taken is due: longer than it takes to hold it.
AHEAD_SECONDS_FOR_EACH: Final = 1 / 8_000
EVENT: Final = b'{"id":"n-%d","app":"news","title":"Good morning","body":"What happened while you slept"}'
CONFIGURATION: Final[dict[str, Any]] = {
    "apps": {"news": {}},
    "classes": {"default": {"lane": "normal", "window_seconds": 0}},
    "caps": [{"name": "many", "limit": 100, "window_seconds": 60}],
}


def run(options: Options) -> Result:
    """`keep/hold` and `keep/release`: timers, each of another user, CPU of the keeper. `keep/take-over`: from when a
    new owner listens until it is ready, with all of them waiting and no copy of them. `keep/capped`: one event at a
    time on an idle system, produced until its send batch is readable, by way of a keeper that counts it."""
    items = options.items or ITEMS
    setup: dict[str, Any] = {"timers": items, "event_bytes": len(EVENT)}
    rows: list[Row] = []
    with bench_cluster(options, CONFIGURATION) as cluster:
        setup["partitions"] = cluster.settings.kafka.partitions
        if options.wants("keep/hold") or options.wants("keep/release"):
            with role(cluster, "keeper", "--slot", "a") as process:
                rows += _timers(options, cluster, process, items)
        if options.wants("keep/take-over"):
            rows.append(_take_over(options, cluster, items))
        if options.wants("keep/capped"):
            rows.append(_capped(options, cluster))
    return Result(rows, setup)


def _timers(options: Options, cluster: BenchCluster, process: ProcessUnderTest, items: int) -> Iterator[Row]:
    _load(cluster, process, "warm", WARM_UP_ITEMS, 0)
    due_at = time.time_ns() // 1_000_000 + round((20 + items * AHEAD_SECONDS_FOR_EACH) * 1000)
    before = sum(cluster.ends(topics.due(LANE)))
    options.say(f"{items} timers of one instant")
    start = process.reading()
    _load(cluster, process, "user", items, due_at)
    yield process.row("keep/hold", items, start)
    if time.time_ns() // 1_000_000 > due_at:
        raise PushcastError("the timers were due before all of them were taken: take fewer (--items)")
    time.sleep(max(0.0, due_at / 1000 - time.time()))
    start = process.reading()
    process.until(
        lambda: sum(cluster.ends(topics.due(LANE))) - before >= items, "all timers are let go", TIMEOUT_SECONDS, 0.5
    )
    yield process.row("keep/release", items, start)


def _take_over(options: Options, cluster: BenchCluster, items: int) -> Row:
    """The rows that wait are all in the topic, and none of them in a copy."""
    day_ms = 86_400_000
    with role(cluster, "keeper", "--slot", "b") as process:
        options.say(f"{items} timers of tomorrow")
        _load(cluster, process, "later", items, time.time_ns() // 1_000_000 + day_ms)
    command = [*child_command("run", "keeper", "--slot", "c")]
    with ProcessUnderTest(command, cluster.folder / "successor.log") as process:
        process.until(lambda: _listens(cluster, process.pid), "it listens", READY_SECONDS, 0.01)
        start = process.reading()
        process.until(lambda: is_ready(cluster, process.pid), "it is ready", TIMEOUT_SECONDS, 0.05)
        return process.row("keep/take-over", items, start)


def _listens(cluster: BenchCluster, pid: int) -> bool:
    return any(entry.pid == pid for entry in whereabouts.read_all(cluster.settings.data_dir))


def _capped(options: Options, cluster: BenchCluster) -> Row:
    partitions, now_ms = cluster.settings.kafka.partitions, time.time_ns() // 1_000_000
    load_devices(cluster, range(CAPPED_USERS), now_ms)
    made: list[Produced] = list(
        events("chat", "json", CAPPED_WARM_UP_ITEMS + CAPPED_ITEMS, CAPPED_USERS, "c", partitions, now_ms)
    )
    with role(cluster, "keeper", "--slot", "d") as process, role(cluster, "planner", "--lane", LANE, "--slot", "d"):
        probe = Probe(cluster, LANE)
        try:
            options.say(f"{CAPPED_ITEMS} capped events, one at a time")
            for each in made[:CAPPED_WARM_UP_ITEMS]:
                probe.milliseconds(each)
            start = process.reading()
            latencies = [probe.milliseconds(each) for each in made[CAPPED_WARM_UP_ITEMS:]]
            return process.row("keep/capped", CAPPED_ITEMS, start, percentiles(latencies))
        finally:
            probe.close()


def _load(cluster: BenchCluster, process: ProcessUnderTest, prefix: str, items: int, due_at: int) -> None:
    """Returns when the keeper has committed all of them: their rows are acknowledged."""
    partitions, topic = cluster.settings.kafka.partitions, topics.keep(LANE)
    producer = Producer({**cluster.client, "acks": "all", "linger.ms": 20, "queue.buffering.max.messages": 1_000_000})
    now_ms = time.time_ns() // 1_000_000
    for number in range(items):
        user = f"{prefix}-{number}".encode()
        partition = partition_of(user, partitions)
        held = Held(f"n-{number}", due_at, now_ms)
        headers: Any = held_headers(origin(f"plan-{LANE}", partition, 1), number, held, None)
        producer.produce(topic, EVENT % number, user, partition, headers=headers)
        producer.poll(0)
    if left := producer.flush(TIMEOUT_SECONDS):
        raise PushcastError(f"{left} keep records could not be produced")
    ends = cluster.ends(topic)
    process.until(
        lambda: cluster.committed(groups.KEEP, topic) == ends, "all timers are committed", TIMEOUT_SECONDS, 0.5
    )
