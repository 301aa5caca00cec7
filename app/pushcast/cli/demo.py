"""`pushcast demo`."""

from __future__ import annotations

import json
import signal
import sys
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from pushcast.cli.output import Output, OutputOption, print_json
from pushcast.model.words import Reason
from pushcast.runtime.collector import collect_seldom

_ACCOUNTS = (
    *("notifications", "planned", "accepted", "invalid", "rejected", "expired", "suppressed", "cancelled", "dead"),
    *("unaccounted", "duplicates_at_provider", "copies_of_receipts", "devices", "dead_tokens", "devices_removed"),
)


def demo(
    devices: Annotated[int, typer.Option(min=1, max=10_000_000, help="Devices to register.")] = 20_000,
    notifications: Annotated[int, typer.Option(min=1, max=100_000_000, help="Notification events.")] = 50_000,
    seed: Annotated[int, typer.Option(help="Seed of the load.")] = 1,
    bootstrap_servers: Annotated[
        str | None, typer.Option(help="A Kafka of yours.", show_default="a temporary one")
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the demo's folder and its logs.")] = False,
    faults: Annotated[bool, typer.Option("--faults", help="Kill a planner and a sender under load.")] = False,
    output: OutputOption = Output.text,
) -> None:
    """Run the main job: events in, HTTP/2 pushes out, receipts back. Exit 0 only when every device is accounted for."""
    from pushcast.demo.run import Plan, run
    from pushcast.demo.world import Options, World

    console = Console(stderr=True)

    def say(text: str) -> None:
        console.print(f"[dim]•[/] {text}", highlight=False)

    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # unwinds, so that nothing is left behind
    collect_seldom()  # a collection of all that the demo knows would hold up its urgent events
    with World(say, Options(bootstrap_servers, keep)) as world:
        with _Bars(console) as bars:
            result = run(world, Plan(devices, notifications, seed, faults), bars.update)
        if keep:
            console.print(f"kept: {world.folder}", highlight=False)
    if output is Output.json:
        print_json(result)
    else:
        _show(Console(), result)
    bound = result.get("duplicates_bound", 0)
    good = result["balanced"] and not result["unaccounted"] and result["duplicates_at_provider"] <= bound
    console.print("[bold green]balanced[/]" if good else "[bold red]NOT balanced[/]")
    if not good:
        raise typer.Exit(1)


class _Bars:
    """Progress bars on a terminal, nothing elsewhere."""

    def __init__(self, console: Console) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._progress = Progress(*columns, console=console, disable=not console.is_terminal)
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> _Bars:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def update(self, step: str, done: int, of: int) -> None:
        name = step.partition(" (")[0]
        task = self._tasks.get(name)
        if task is None:
            task = self._tasks[name] = self._progress.add_task(step, total=of or None)
        self._progress.update(task, completed=done, description=step)


def _waited(result: dict[str, Any]) -> list[tuple[str, str]]:
    """What waited with the keeper, and that each of it was let go once or ended."""
    timers, reasons, held = result["timers"], result["suppressed_by_reason"], result["held_by_reason"]
    rows = [
        ("waited", timers["held"]),
        ("of these for their time", held.get(Reason.SCHEDULED, 0)),
        ("of these in quiet hours", held.get(Reason.QUIET_HOURS, 0)),
        ("of these let go", timers["released"]),
        ("of these ended", timers["closed_early"]),
        ("of these gathered in digests", reasons.get(Reason.DIGESTED, 0)),
        ("of these beyond a cap", reasons.get(Reason.FREQUENCY_CAP, 0)),
        ("of these cancelled", result["cancelled"]),
    ]
    closes = timers["held"] == timers["released"] + timers["closed_early"] and not (timers["twice"] or timers["lost"])
    return [*((what, f"{count:,}") for what, count in rows), ("timer ledger", "closes" if closes else "does NOT close")]


def _show(console: Console, result: dict[str, Any]) -> None:
    table = Table(title="per platform")
    for column in ("platform", "engine", "accepted", "invalid", "other", "p50 ms", "p95 ms", "p99 ms"):
        table.add_column(column, justify="left" if column in {"platform", "engine"} else "right")
    for platform, row in result["per_platform"].items():
        other = sum(row.get(name, 0) for name in ("rejected", "expired", "suppressed", "cancelled", "dead"))
        latency = [f"{row['latency_ms'][name]:.0f}" if row["latency_ms"] else "-" for name in ("p50", "p95", "p99")]
        cells = [platform, row["engine"], str(row.get("accepted", 0)), str(row.get("invalid", 0)), str(other)]
        table.add_row(*cells, *latency)
    console.print(table)
    lanes = Table(
        title="from the event in Kafka to its push at the provider",
        caption="urgent: a trickle beside the flood; normal and bulk: the flood, written at once, so they wait in line",
    )
    for column in ("lane", "arrived", "p50 ms", "p95 ms", "p99 ms"):
        lanes.add_column(column, justify="left" if column == "lane" else "right")
    for lane, whole in result["per_lane"].items():
        of_lane = {f"  {part}": row for part, row in whole.get("parts", {}).items()}
        for name, each in {lane: whole, **of_lane}.items():
            latencies = [f"{each['latency_ms'][quantile]:,.0f}" for quantile in ("p50", "p95", "p99")]
            lanes.add_row(name, f"{each['arrived']:,}", *latencies)
    console.print(lanes)
    broadcasts = Table(title="broadcasts")
    for column in ("audience", "planned", "accepted", "other", "seconds"):
        broadcasts.add_column(column, justify="left" if column == "audience" else "right")
    for row in result["broadcasts"]:
        accepted = row["receipts"].get("accepted", 0)
        counts = (row["planned"], accepted, sum(row["receipts"].values()) - accepted)
        broadcasts.add_row(json.dumps(row["audience"]), *(f"{count:,}" for count in counts), f"{row['seconds']:.1f}")
    console.print(broadcasts)
    accounts = Table(title="accounts")
    accounts.add_column("what")
    accounts.add_column("count", justify="right")
    for name in _ACCOUNTS:
        accounts.add_row(name, f"{result[name]:,}")
    for what, count in _waited(result):
        accounts.add_row(what, count)
    for fault in result.get("faults", ()):
        parts = [f"{name.replace('_', ' ')} {count:,}" for name, count in fault.items() if name != "role"]
        accounts.add_row(f"killed: {fault['role']}", ", ".join(parts))
    if "duplicates_bound" in result:
        accounts.add_row("duplicates_bound", f"{result['duplicates_bound']:,}")
    accounts.add_row("seconds", f"{result['seconds']:.1f}")
    accounts.add_row("pushes per second", f"{result['pushes_per_second']:,}")
    console.print(accounts)
