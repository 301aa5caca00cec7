"""`bench start`: how long `pushcast run all` takes until every role is ready, and what that costs, by partitions."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from typing import Any, Final

from pushcast.bench import meter
from pushcast.bench.base import Options, Result, Row
from pushcast.bench.cluster import BenchCluster, is_ready
from pushcast.bench.planning import load_devices
from pushcast.bench.whole import READY_SECONDS, Whole, every_platform, run_all
from pushcast.model.words import Lane, Platform
from pushcast.runtime import whereabouts
from pushcast.runtime.layout import processes

PARTITIONS: Final = (8, 64)
#: Only when a `--shape` asks for them: there are some 24,000 partitions then, and a broker holds a file open for each.
MOST_PARTITIONS: Final = 256
#: How many brokers share them: many machines allow a process 20,000 open files, an embedded broker has 512 MB of heap.
BROKERS: Final = {MOST_PARTITIONS: 3}
DEVICES: Final = 50_000
#: The role that is killed: it has a table to come back with.
KILLED: Final = "planner-normal"


def run(options: Options) -> Result:
    """Rows `start/N`, `start/N/again` and `start/N/killed` for N partitions.

    First start with a devices table of 50,000 rows, start after an orderly stop, and a planner after a kill -9 until it
    is ready again. `items` is the number of processes, `cpu_seconds` what they used until then, and `rss_bytes` their
    proportional memory (PSS). `setup.open_files` has the descriptors of every process when all are ready. `--shape
    start/256` is measured only when it is asked for, with three brokers.
    """
    devices = options.devices or DEVICES
    open_files: dict[str, Mapping[str, int | None]] = {}
    setup: dict[str, Any] = {"devices": devices, "memory": "PSS", "open_files": open_files}
    rows: list[Row] = []
    for partitions in (*PARTITIONS, *(() if options.shapes is None else (MOST_PARTITIONS,))):
        name = f"start/{partitions}"
        if not options.wants(name):
            continue
        with every_platform(options, partitions, BROKERS.get(partitions, 1)) as cluster:
            load_devices(cluster, range(devices), time.time_ns() // 1_000_000)
            options.say(f"{name}: until every role is ready")
            for each, killed in ((name, None), (f"{name}/again", f"{name}/killed")):
                found, open_files[each] = _started(each, cluster, killed)
                options.say(", ".join(f"{row.name} {row.seconds:.1f} s" for row in found))
                rows += found
    return Result(rows, setup)


def _started(name: str, cluster: BenchCluster, killed: str | None = None) -> tuple[list[Row], Mapping[str, int | None]]:
    plans = processes(cluster.settings, list(Lane), list(Platform))
    began = time.monotonic()
    with run_all(cluster, {}, plans) as whole:
        pids = meter.descendants(whole.roles.pid)
        cpu_seconds = sum(meter.read(pid).cpu_seconds for pid in pids)
        memory = sum(map(meter.pss_bytes, pids))
        rows = [Row(name, len(pids), time.monotonic() - began, cpu_seconds, memory)]
        open_files = whole.open_files()
        if killed is not None:
            rows.append(_killed(killed, cluster, whole))
    return rows, open_files


def _killed(name: str, cluster: BenchCluster, whole: Whole) -> Row:
    before = _pid(cluster)
    began = time.monotonic()
    os.kill(before, signal.SIGKILL)
    whole.roles.until(
        lambda: _pid(cluster) != before and is_ready(cluster, _pid(cluster)), f"{KILLED} is ready again", READY_SECONDS
    )
    pid = _pid(cluster)
    return Row(name, 1, time.monotonic() - began, meter.read(pid).cpu_seconds, meter.pss_bytes(pid))


def _pid(cluster: BenchCluster) -> int:
    entries = whereabouts.read_all(cluster.settings.data_dir)
    return next((entry.pid for entry in entries if entry.name == KILLED), 0)
