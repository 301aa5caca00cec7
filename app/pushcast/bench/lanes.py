"""`bench lanes`: what an urgent event waits for while a bulk backlog drains on the same cores."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from confluent_kafka import Producer

from pushcast.bench import campaigns, meter
from pushcast.bench.base import Options, Result, Row
from pushcast.bench.cluster import BenchCluster, ProcessUnderTest, bench_cluster, role
from pushcast.bench.planning import APP, load_devices
from pushcast.bench.sink import Simulator, simulator
from pushcast.model.errors import PushcastError
from pushcast.model.ids import partition_of
from pushcast.model.words import Lane, Platform
from pushcast.runtime.layout import NICENESS
from pushcast.simulators.recorder import MARKER
from pushcast.wire.topics import notification

IDLE: Final = "urgent/idle"
#: Rows under a backlog, and the OS priority of the bulk sender in them.
BACKLOG: Final = {"urgent/backlog": 0, "urgent/backlog/nice": NICENESS[Lane.BULK]}
BULK_APP: Final = "campaign"
ITEMS: Final = 1_000_000  # planned pushes of the backlog
TARGETS_PER_RECORD: Final = 500
USERS: Final = 1_000
PER_SECOND: Final = 100
IDLE_EVENTS: Final = 1_000
WARM_UP_EVENTS: Final = 2_000  # until the broker's JIT has settled, as in `bench latency`
DRAIN_SECONDS: Final = 300.0
ARRIVE_SECONDS: Final = 30.0
LOOK_SECONDS: Final = 0.25
TTL_MS: Final = 3_600_000
_MARKER: Final = MARKER.decode().strip('"')


def run(options: Options) -> Result:
    """Urgent events at a steady rate through their own planner and sender; `items` of the options is the backlog.

    A backlog row ends with its backlog, and has as many events as that took. Latency: event produced → the simulator
    answers its push. CPU and memory: urgent planner and sender together. Rows `bulk/…`: the sender of the backlog.
    """
    items = options.items or ITEMS
    setup: dict[str, Any] = {"backlog": items, "events_per_second": PER_SECOND}
    setup["bulk_simulator_niceness"] = NICENESS[Lane.BULK]
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="pushcast-bench-sim-") as name:
        folder = Path(name)
        with (
            simulator(Platform.APNS, folder / "urgent") as urgent,
            # A provider uses none of our cores. This one must: as little of them as can be.
            simulator(Platform.APNS, folder / "bulk", niceness=NICENESS[Lane.BULK]) as bulk,
            bench_cluster(options, _configuration(urgent, bulk)) as cluster,
        ):
            setup["partitions"] = cluster.settings.kafka.partitions
            load_devices(cluster, _users(), time.time_ns() // 1_000_000)
            lane = ("--lane", Lane.URGENT, "--slot", "b")
            with (
                role(cluster, "planner", *lane) as planner,
                role(cluster, "sender", "--platform", Platform.APNS, *lane) as sender,
            ):
                events = _Events(cluster, urgent, (planner, sender))
                events.run("", _counted(WARM_UP_EVENTS))
                if options.wants(IDLE):
                    options.say(f"{IDLE}: {IDLE_EVENTS} events")
                    rows.append(events.run(IDLE, _counted(IDLE_EVENTS)))
                for row, niceness in BACKLOG.items():
                    if options.wants(row):
                        rows += _under_backlog(cluster, events, bulk, row, niceness, items, options)
    return Result(rows, setup)


def _configuration(urgent: Simulator, bulk: Simulator) -> dict[str, Any]:
    apps = {APP: {"apns": urgent.provider_settings()}, BULK_APP: {"apns": bulk.provider_settings()}}
    return {"apps": apps, "classes": {"default": {"lane": "urgent", "window_seconds": 0}}}


def _users() -> range:
    """Those whose device is on APNs (`planning.device_rows`)."""
    return range(1, 2 * USERS, 2)


def _under_backlog(
    cluster: BenchCluster, events: _Events, bulk: Simulator, name: str, niceness: int, items: int, options: Options
) -> list[Row]:
    options.say(f"{name}: {items} planned pushes into the bulk lane")
    campaigns.produce(cluster, Lane.BULK, campaigns.campaign(BULK_APP, items, TARGETS_PER_RECORD))
    bulk.reset()
    arguments = ("sender", "--platform", Platform.APNS, "--lane", Lane.BULK, "--slot", "b")
    options.say(f"{name}: events while they are sent")
    with role(cluster, *arguments, niceness=niceness) as process:
        start = process.reading()
        sent_before = bulk.stats()["accepted"]

        def drained() -> bool:
            process.check()
            return bool(bulk.stats()["accepted"] >= items)

        with ThreadPoolExecutor(1) as watch:
            # Apart from the events: an answer of the busy simulator may take longer than their interval.
            end = watch.submit(_when, drained, f"{name}: the backlog is sent")
            row = events.run(name, lambda _: not end.done())
            end.result()
        bulk_row = process.row(name.replace("urgent", "bulk"), items - sent_before, start)
    return [row, bulk_row]


def _when(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + DRAIN_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise PushcastError(f"{what}: not within {DRAIN_SECONDS:.0f} s")
        time.sleep(LOOK_SECONDS)


def _counted(count: int) -> Callable[[int], bool]:
    return lambda number: number < count


class _Events:
    """Produces urgent events at their rate and has the simulator tell how long they took."""

    def __init__(self, cluster: BenchCluster, sink: Simulator, processes: Sequence[ProcessUnderTest]) -> None:
        self._sink = sink
        self._processes = processes
        self._partitions = cluster.settings.kafka.partitions
        self._producer = Producer({**cluster.client, "acks": "all", "linger.ms": 0, "log_level": 0})
        self._users = [f"user-{number}".encode() for number in _users()]
        self._made = 0

    def run(self, name: str, go_on: Callable[[int], bool]) -> Row:
        """Events while `go_on(how many were produced)`; ends when all of them are answered. Raises PushcastError."""
        self._sink.reset()
        starts = [process.reading() for process in self._processes]
        began, count = time.monotonic(), 0
        while go_on(count):
            self._produce()
            count += 1
            time.sleep(max(0.0, began + count / PER_SECOND - time.monotonic()))
        if not count:
            raise PushcastError(f"{name}: the backlog was gone before the first event; give it more items")
        self._producer.flush(ARRIVE_SECONDS)
        stats = self._answered(name, count)
        latency = {quantile: stats["latency_ms"][quantile] for quantile in ("p50", "p95", "p99")}
        return _together(name, count, starts, [process.reading() for process in self._processes], latency)

    def _produce(self) -> None:
        self._made += 1
        key = self._users[self._made % len(self._users)]
        now_ms = time.time_ns() // 1_000_000
        event = {
            "id": f"code-{now_ms:x}-{self._made}",
            "app": APP,
            "title": "Your code",
            "body": f"{self._made:06d}",
            "data": {_MARKER: str(now_ms)},
            "expires_at": now_ms + TTL_MS,
        }
        partition = partition_of(key, self._partitions)
        self._producer.produce(notification(Lane.URGENT), json.dumps(event), key, partition)
        self._producer.poll(0)

    def _answered(self, name: str, count: int) -> dict[str, Any]:
        deadline = time.monotonic() + ARRIVE_SECONDS
        while (stats := self._sink.stats())["accepted"] < count:
            for process in self._processes:
                process.check()
            if time.monotonic() > deadline:
                raise PushcastError(f"{name}: {stats['accepted']} of {count} events arrived")
            time.sleep(0.05)
        if stats["accepted"] != count:
            raise PushcastError(f"{name}: {count} events became {stats['accepted']} pushes")
        return stats


def _together(
    name: str, items: int, starts: Sequence[meter.Reading], ends: Sequence[meter.Reading], latency: dict[str, float]
) -> Row:
    cpu_seconds = sum(end.cpu_seconds - start.cpu_seconds for start, end in zip(starts, ends, strict=True))
    seconds = ends[0].at_seconds - starts[0].at_seconds
    return Row(name, items, seconds, cpu_seconds, sum(end.rss_bytes for end in ends), latency)
