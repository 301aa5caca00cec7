"""`bench keep`: what waits through a keeper: taken, let go in one instant, found again by a new owner, and capped."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from typing import Any, Final

from pushcast.bench import capped, timers
from pushcast.bench.base import Options, Result, Row
from pushcast.bench.cluster import READY_SECONDS, BenchCluster, ProcessUnderTest, bench_cluster, is_ready, role
from pushcast.runtime import whereabouts
from pushcast.runtime.child import child_command
from pushcast.wire import groups

ITEMS: Final = 200_000
WARM_UP_ITEMS: Final = 5_000
TIMEOUT_SECONDS: Final = 300.0
DAY_MS: Final = 86_400_000
CONFIGURATION: Final[dict[str, Any]] = {
    "apps": {"news": {}},
    "classes": {"default": {"lane": "normal", "window_seconds": 0}},
}
HOLD: Final = "keep/hold"
RELEASE: Final = "keep/release"
TAKE_OVER: Final = "keep/take-over"


def run(options: Options) -> Result:
    """`keep/hold` and `keep/release`: timers, each of another user, CPU of the keeper. `keep/take-over`: from when a
    new owner listens until it is ready, with all of them waiting and no copy of them. `keep/capped`, `keep/minute`:
    see `capped.rows`."""
    items = options.items or ITEMS
    setup: dict[str, Any] = {"timers": items, "event_bytes": len(timers.EVENT)}
    rows: list[Row] = []
    if any(map(options.wants, (HOLD, RELEASE, TAKE_OVER))):
        with bench_cluster(options, CONFIGURATION) as cluster:
            setup["partitions"] = cluster.settings.kafka.partitions
            if options.wants(HOLD) or options.wants(RELEASE):
                with role(cluster, "keeper", "--slot", "a") as process:
                    rows += _timers(options, cluster, process, items)
            if options.wants(TAKE_OVER):
                rows.append(_take_over(options, cluster, items))
    if options.wants(capped.IDLE) or options.wants(capped.MINUTE):
        rows += capped.rows(options, items, setup)
    return Result(rows, setup)


def _timers(options: Options, cluster: BenchCluster, process: ProcessUnderTest, items: int) -> Iterator[Row]:
    timers.load(cluster, process, "warm", WARM_UP_ITEMS, lambda _: 0)
    due_at = timers.ahead(items)
    before = timers.let_go(cluster)
    options.say(f"{items} timers of one instant")
    start = process.reading()
    timers.load(cluster, process, "user", items, lambda _: due_at)
    yield process.row(HOLD, items, start)
    timers.wait_until(due_at)
    start = process.reading()
    process.until(lambda: timers.let_go(cluster) - before >= items, "all timers are let go", TIMEOUT_SECONDS, 0.5)
    yield process.row(RELEASE, items, start)


def _take_over(options: Options, cluster: BenchCluster, items: int) -> Row:
    """The rows that wait are all in the topic, and none of them in a copy. The successor has its predecessor's slot, as
    on another machine: one with another slot is given all of it when the predecessor's session has ended, and that is a
    setting (`kafka.session_timeout_seconds`), nothing that a keeper does."""
    slot = ("--slot", "b")
    with role(cluster, "keeper", *slot) as process:
        options.say(f"{items} timers of tomorrow")
        tomorrow = time.time_ns() // 1_000_000 + DAY_MS
        timers.load(cluster, process, "later", items, lambda _: tomorrow)
    shutil.rmtree(cluster.settings.data_dir / f"{groups.KEEP}-b")
    command = [*child_command("run", "keeper", *slot)]
    with ProcessUnderTest(command, cluster.folder / "successor.log") as process:
        process.until(lambda: _listens(cluster, process.pid), "it listens", READY_SECONDS, 0.01)
        start = process.reading()
        process.until(lambda: is_ready(cluster, process.pid), "it is ready", TIMEOUT_SECONDS, 0.05)
        return process.row(TAKE_OVER, items, start)


def _listens(cluster: BenchCluster, pid: int) -> bool:
    return any(entry.pid == pid for entry in whereabouts.read_all(cluster.settings.data_dir))
