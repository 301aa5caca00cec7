"""`bench exactness`: what claim, fence and own tail cost PLAN, and the ledger SEND, with the switch off beside it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from pushcast.bench import plan, stage_send
from pushcast.bench.base import Options, Result, Row
from pushcast.bench.cluster import BenchCluster, ProcessUnderTest, bench_cluster, role
from pushcast.bench.inexact import inexact_command
from pushcast.bench.planning import load_devices
from pushcast.runtime.child import child_command
from pushcast.simulators.configuration import provider_settings

ITEMS: Final = 200_000
ROUNDS: Final = 3
#: Beginnings of the row names, and how their processes are started.
SWITCHES: Final = {"off": inexact_command, "on": child_command}

Measure = Callable[[ProcessUnderTest, str, int], Row]  # process, row name, round


def run(options: Options) -> Result:
    """Rows `plan/on`, `plan/off`, `send/on`, `send/off`: off and on in turn, each in a process of its own every time,
    and of each the round with the least CPU time."""
    items = options.items or ITEMS
    setup: dict[str, Any] = {"rounds": ROUNDS, "of_rounds": "least CPU seconds"}
    configuration: dict[str, Any] = {"classes": plan.CONFIGURATION["classes"], "apps": {"news": {}}}
    rows: list[Row] = []
    with ExitStack() as stack:
        sending = any(options.wants(f"send/{switch}") for switch in SWITCHES)
        sim: dict[str, Any] = {}
        if sending:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pushcast-bench-sim-")))
            sim = stack.enter_context(stage_send.simulator(folder))
            configuration["apps"] = {"news": {"apns": provider_settings(sim)}}
        cluster = stack.enter_context(bench_cluster(options, configuration))
        setup["partitions"] = cluster.settings.kafka.partitions
        if any(options.wants(f"plan/{switch}") for switch in SWITCHES):
            rows += _plan(cluster, items, options)
        if sending:
            rows += _send(cluster, sim, items, options)
    return Result(rows, setup)


def _plan(cluster: BenchCluster, items: int, options: Options) -> list[Row]:
    users = min(items, plan.USERS)
    options.say(f"{users} devices into their topic")
    load_devices(cluster, range(users), plan.now_ms())

    def measure(process: ProcessUnderTest, name: str, number: int) -> Row:
        run_name = name.replace("/", "-") + f"-{number}"
        warm = min(items, plan.WARM_UP_ITEMS)
        plan.planned_row(cluster, process, f"w-{run_name}", "alert", "json", warm, users)
        return plan.planned_row(cluster, process, f"m-{run_name}", "alert", "json", items, users, name)

    return list(_best("plan", cluster, ("planner", "--lane", plan.LANE, "--slot", "b"), measure, options))


def _send(cluster: BenchCluster, sim: dict[str, Any], items: int, options: Options) -> list[Row]:
    def measure(process: ProcessUnderTest, name: str, _: int) -> Row:
        stage_send.load(cluster, process, min(items, stage_send.WARM_UP_ITEMS), False)
        return stage_send.measured(cluster, process, sim, name, items, options, False, None)

    arguments = ("sender", "--platform", "apns", "--lane", "bulk", "--slot", "b")
    return list(_best("send", cluster, arguments, measure, options))


def _best(
    what: str, cluster: BenchCluster, arguments: Sequence[str], measure: Measure, options: Options
) -> Iterator[Row]:
    found: dict[str, list[Row]] = {}
    for number in range(ROUNDS):
        for switch, command in SWITCHES.items():
            name = f"{what}/{switch}"
            if options.wants(name):
                options.say(f"{name}: round {number + 1} of {ROUNDS}")
                with role(cluster, *arguments, command=command) as process:
                    found.setdefault(name, []).append(measure(process, name, number))
    for rows in found.values():
        yield min(rows, key=lambda row: row.cpu_seconds)
