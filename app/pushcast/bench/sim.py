"""`bench sim`: how many requests a simulator answers. The process under test is the simulator; the load is our own
multicast engine in another process, which takes a quarter of its CPU."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pushcast.bench.base import Options, Result, Row
from pushcast.bench.messages import APP
from pushcast.bench.send import BODY_CHARS, DISTINCT_TARGETS, IN_FLIGHT, TARGETS_PER_MESSAGE, WARM_UP_ITEMS, check
from pushcast.bench.sender import Load
from pushcast.bench.sender_process import SenderProcess, configuration
from pushcast.bench.sink import simulator
from pushcast.model.errors import PushcastError
from pushcast.model.words import Platform

ITEMS: Final = 200_000
# As `pushcast sim` has it without options: every copy is counted.
MAX_COPIES: Final = 2_000_000


@dataclass(frozen=True, slots=True)
class Case:
    """A row."""

    name: str
    platform: Platform
    checks: bool
    latency_ms: int = 0


CASES: Final = (
    Case("sim/apns/checks", Platform.APNS, checks=True),
    Case("sim/apns/unchecked", Platform.APNS, checks=False),
    Case("sim/apns/checks/50ms", Platform.APNS, checks=True, latency_ms=50),
    Case("sim/fcm/checks", Platform.FCM, checks=True),
    Case("sim/fcm/unchecked", Platform.FCM, checks=False),
)


def run(options: Options) -> Result:
    """500 targets a message, as in `bench send`; every request must be accepted."""
    rows: list[Row] = []
    for case in CASES:
        if options.wants(case.name):
            row = _measured(case, options.items or ITEMS)
            options.say(f"{row.name}: {row.items / max(row.cpu_seconds, 0.001):,.0f} per CPU second")
            rows.append(row)
    setup = {"load": "multicast engine", "in_flight": IN_FLIGHT, "targets_per_message": TARGETS_PER_MESSAGE}
    return Result(rows, setup)


def _measured(case: Case, items: int) -> Row:
    load = Load(
        app=APP,
        platform=case.platform,
        items=items,
        warm_up_items=WARM_UP_ITEMS,
        targets_per_message=TARGETS_PER_MESSAGE,
        distinct_targets=DISTINCT_TARGETS,
        body_chars=BODY_CHARS[case.platform],
        in_flight=IN_FLIGHT,
    )
    with (
        tempfile.TemporaryDirectory(prefix="pushcast-bench-sim-") as folder,
        simulator(case.platform, Path(folder), checks=case.checks, max_copies=MAX_COPIES) as sim,
        configuration(sim, sim.url),
        SenderProcess(sim.folder / "sender.log") as sender,
    ):
        assert sim.process is not None
        if case.platform is Platform.FCM:
            sim.set_state(quota=None)  # a run is more than a project may send in a minute
        if case.latency_ms:
            sim.set_state(latency={"ms": case.latency_ms})
        sender.warm_up(load)
        start = sim.process.reading()
        report = sender.report()
        row = sim.process.row(case.name, items, start)
        check(case.name, load, report)
        stats = sim.stats()
    if stats["accepted"] != load.total:
        raise PushcastError(f"{case.name}: {load.total} pushes became {stats['accepted']}")
    return row
