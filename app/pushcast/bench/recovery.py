"""`bench recovery`: the devices table of a planner rebuilt from its topic into an empty directory."""

from __future__ import annotations

import time
from typing import Any

from pushcast.bench.base import Options, Result
from pushcast.bench.cluster import READY_SECONDS, BenchCluster, ProcessUnderTest, bench_cluster, is_ready
from pushcast.bench.planning import load_devices
from pushcast.model.words import Lane
from pushcast.runtime import whereabouts
from pushcast.runtime.child import child_command

NAME = "recovery/1m"
ITEMS = 1_000_000
TIMEOUT_SECONDS = 300.0
POLL_SECONDS = 0.01


def run(options: Options) -> Result:
    """From when the process listens (imports are behind it) until it is ready: every row is in its table."""
    items = options.items or ITEMS
    setup: dict[str, Any] = {"rows": items, "from": "process listens", "until": "ready"}
    with bench_cluster(options, {"apps": {"news": {}}}) as cluster:
        setup["partitions"] = cluster.settings.kafka.partitions
        options.say(f"{items} devices into their topic")
        load_devices(cluster, range(items), time.time_ns() // 1_000_000)
        command = [*child_command("run", "planner", "--lane", Lane.NORMAL, "--slot", "b")]
        options.say("recovery")
        with ProcessUnderTest(command, cluster.folder / "planner.log") as process:
            process.until(lambda: _listens(cluster, process.pid), "it listens", READY_SECONDS, POLL_SECONDS)
            start = process.reading()
            process.until(lambda: is_ready(cluster, process.pid), "it is ready", TIMEOUT_SECONDS, POLL_SECONDS * 5)
            return Result([process.row(NAME, items, start)], setup)


def _listens(cluster: BenchCluster, pid: int) -> bool:
    return any(entry.pid == pid for entry in whereabouts.read_all(cluster.settings.data_dir))
