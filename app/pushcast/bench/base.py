"""What every benchmark takes and gives."""

from __future__ import annotations

import os
import platform
import sys
import time
import timeit
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pushcast import __version__
from pushcast.kafka.embedded import KAFKA_VERSION
from pushcast.model.ids import partition_of

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line asks for. None: the benchmark's own default."""

    items: int | None = None
    shapes: tuple[str, ...] | None = None  # names or beginnings of row names; None: all rows
    bootstrap_servers: str | None = None  # None: a temporary embedded cluster
    sink: Path | None = None  # a built Go sink, for the rows `…/sink/go` of `bench send`
    say: Say = lambda _: None
    devices: int | None = None  # `bench pipeline`

    def wants(self, row: str) -> bool:
        """Whether a row of this name is asked for: `alert` picks `plan/alert/json` and `plan/alert/avro`."""
        return self.shapes is None or any(row.startswith(shape) or f"/{shape}" in row for shape in self.shapes)


@dataclass(frozen=True, slots=True)
class Row:
    """One measurement. `cpu_seconds` is user and system time of the process under test, all threads, from the first
    item to the last acknowledgement; `rss_bytes` the peak of its resident memory."""

    name: str
    items: int
    seconds: float
    cpu_seconds: float
    rss_bytes: int
    latency_ms: Mapping[str, float] | None = None  # p50, p95, p99

    def to_dict(self) -> dict[str, Any]:
        """As the contract has it."""
        return {
            "name": self.name,
            "items": self.items,
            "seconds": round(self.seconds, 3),
            "cpu_seconds": round(self.cpu_seconds, 3),
            "per_second": round(self.items / self.seconds, 1) if self.seconds else None,
            "per_cpu_second": round(self.items / self.cpu_seconds, 1) if self.cpu_seconds else None,
            "rss_bytes": self.rss_bytes,
            "latency_ms": None if self.latency_ms is None else dict(self.latency_ms),
        }


@dataclass(slots=True)
class Result:
    """All rows of one benchmark with the set-up that they hold for."""

    rows: list[Row]
    setup: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """As the contract has it."""
        return {"setup": machine() | self.setup, "rows": [row.to_dict() for row in self.rows]}


def machine() -> dict[str, Any]:
    """What a figure means nothing without.

    `calibration_us` is the CPU time of one fixed piece of Python (a user id's partition), best of five: where others
    share the cores, CPU seconds themselves get longer, and figures of two runs compare only by it.
    """
    return {
        "pushcast": __version__,
        "python": platform.python_version(),
        "kafka": KAFKA_VERSION,
        "platform": platform.platform(),
        "cpu": _cpu_name(),
        "cpus": os.cpu_count(),
        "load_average_1m": round(os.getloadavg()[0], 2),
        "calibration_us": round(_calibration_us(), 2),
    }


def percentiles(values: list[float]) -> dict[str, float]:
    """Nearest-rank p50, p95, p99. Raises ValueError without values."""
    if not values:
        raise ValueError("no values, no percentiles")
    ordered = sorted(values)
    last = len(ordered) - 1
    return {f"p{p}": round(ordered[min(last, -(-len(ordered) * p // 100) - 1)], 3) for p in (50, 95, 99)}


def _calibration_us() -> float:
    rounds = 5000
    timed = timeit.repeat(lambda: partition_of(b"user-123456", 8), time.process_time, number=rounds, repeat=5)
    return min(timed) / rounds * 1e6


def _cpu_name() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or sys.platform
