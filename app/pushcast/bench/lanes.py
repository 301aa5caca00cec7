"""`bench lanes`: what an urgent event waits for while a bulk backlog drains on the same cores."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from pushcast.bench import campaigns, meter
from pushcast.bench.base import Options, Result, Row
from pushcast.bench.cluster import BenchCluster, ProcessUnderTest, bench_cluster, role
from pushcast.bench.planning import APP, load_devices
from pushcast.bench.sink import Simulator, simulator
from pushcast.bench.steady import PER_SECOND, SteadyEvents
from pushcast.config.settings import Niceness
from pushcast.model.errors import PushcastError
from pushcast.model.words import Lane, Platform

IDLE: Final = "urgent/idle"
BULK_NICENESS: Final = Niceness().bulk
#: Rows under a backlog, and the OS priority of the bulk sender in them.
BACKLOG: Final = {"urgent/backlog": 0, "urgent/backlog/nice": BULK_NICENESS}
BULK_APP: Final = "campaign"
ITEMS: Final = 1_000_000  # planned pushes of the backlog
TARGETS_PER_RECORD: Final = 500
USERS: Final = 1_000
IDLE_EVENTS: Final = 1_000
WARM_UP_EVENTS: Final = 2_000  # until the broker's JIT has settled, as in `bench latency`
DRAIN_SECONDS: Final = 300.0
LOOK_SECONDS: Final = 0.25


def run(options: Options) -> Result:
    """Urgent events at a steady rate through their own planner and sender; `items` of the options is the backlog.

    A backlog row ends with its backlog, and has as many events as that took. Latency: event produced → the simulator
    answers its push. CPU and memory: urgent planner and sender together. Rows `bulk/…`: the sender of the backlog.
    """
    items = options.items or ITEMS
    setup: dict[str, Any] = {"backlog": items, "events_per_second": PER_SECOND}
    setup["bulk_simulator_niceness"] = BULK_NICENESS
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="pushcast-bench-sim-") as name:
        folder = Path(name)
        with (
            simulator(Platform.APNS, folder / "urgent") as urgent,
            # A provider uses none of our cores. This one must: as little of them as can be.
            simulator(Platform.APNS, folder / "bulk", niceness=BULK_NICENESS) as bulk,
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
    """Urgent events, and what their planner and sender use for them."""

    def __init__(self, cluster: BenchCluster, sink: Simulator, processes: Sequence[ProcessUnderTest]) -> None:
        self._processes = processes
        self._events = SteadyEvents(cluster, sink, APP, _users(), self._check)

    def _check(self) -> None:
        for process in self._processes:
            process.check()

    def run(self, name: str, go_on: Callable[[int], bool]) -> Row:
        """As of `SteadyEvents`."""
        starts = [process.reading() for process in self._processes]
        found = self._events.run(name, go_on)
        ends = [process.reading() for process in self._processes]
        return _together(name, found.events, starts, ends, found.latency_ms)


def _together(
    name: str, items: int, starts: Sequence[meter.Reading], ends: Sequence[meter.Reading], latency: dict[str, float]
) -> Row:
    cpu_seconds = sum(end.cpu_seconds - start.cpu_seconds for start, end in zip(starts, ends, strict=True))
    seconds = ends[0].at_seconds - starts[0].at_seconds
    return Row(name, items, seconds, cpu_seconds, sum(end.rss_bytes for end in ends), latency)
