"""`bench idle`: what the roles take while nothing happens, in both layouts of `pushcast run all`."""

from __future__ import annotations

import time
from typing import Any, Final

from pushcast.bench import meter
from pushcast.bench.base import Options, Result, Row
from pushcast.bench.whole import every_platform, run_all
from pushcast.model.words import Lane, Platform
from pushcast.runtime.layout import compact, processes

#: Layouts by row, with the option of `run all`.
LAYOUTS: Final = {"idle/all": (processes, ()), "idle/compact": (compact, ("--compact",))}
#: After everything is ready: connections are open, collectors have run, first commits are over.
SETTLE_SECONDS: Final = 5.0
WINDOW_SECONDS: Final = 10.0


def run(options: Options) -> Result:
    """Rows `idle/all` and `idle/compact`: an empty table, every platform configured, roles and supervisor only.

    `items` is the number of processes and `rss_bytes` their proportional memory (PSS), so that what they share counts
    once; `cpu_seconds` is what they use in ten seconds without an event.
    """
    setup: dict[str, Any] = {"platforms": [*Platform], "memory": "PSS", "window_seconds": WINDOW_SECONDS}
    rows: list[Row] = []
    with every_platform(options) as cluster:
        setup["partitions"] = cluster.settings.kafka.partitions
        for name, (layout, arguments) in LAYOUTS.items():
            if options.wants(name):
                options.say(f"{name}: until every role is ready")
                plans = layout(cluster.settings, list(Lane), list(Platform))
                with run_all(cluster, {}, plans, *arguments) as whole:
                    rows.append(_row(name, whole.roles.pid))
    return Result(rows, setup)


def _row(name: str, supervisor: int) -> Row:
    time.sleep(SETTLE_SECONDS)
    pids = meter.descendants(supervisor)
    start = [meter.read(pid) for pid in pids]
    time.sleep(WINDOW_SECONDS)
    end = [meter.read(pid) for pid in pids]
    cpu_seconds = sum(after.cpu_seconds - before.cpu_seconds for before, after in zip(start, end, strict=True))
    return Row(name, len(pids), WINDOW_SECONDS, cpu_seconds, sum(map(meter.pss_bytes, pids)))
