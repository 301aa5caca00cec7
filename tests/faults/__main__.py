"""`make faults`: every scenario at its full length, each in a world of its own; `make faults ONLY=zombie` one of them.

One line of JSON per scenario on stdout, a table and a verdict on stderr. Exit 0 only when all passed.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from rich.console import Console
from rich.table import Table

from faults.catalogue import SCENARIOS, Scenario
from faults.rig import LONG, SHORT, Rig, Size, rigged
from pushcast.bench.base import machine
from pushcast.model.words import Lane

#: `pushcast bench` tells it of every machine. The limits of waiting in `scenarios/` were chosen on one with this.
CALIBRATION_US = 0.8
COLUMNS = ("events", "planned", "lost", "planned_twice", "reached_twice", "in_flight_at_provider", "unacknowledged")


def main(arguments: Sequence[str] | None = None) -> int:
    given = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # unwinds, so that nothing is left behind
    size = _sized(SHORT if given.short else LONG, given)
    console = Console(stderr=True)
    if not console.is_terminal:
        console = Console(stderr=True, width=150)
    by_name = {scenario.NAME: scenario for scenario in SCENARIOS}
    chosen = [by_name[name] for name in given.only or by_name]
    if size.patience > 1:
        _say(console, f"limits of waiting are {size.patience} times as long")
    seeds = range(given.seed, given.seed + given.repeat)
    results = []
    for found in _together(chosen, size, seeds, console) if given.one_world else _apart(chosen, size, seeds, console):
        print(json.dumps(found), flush=True)
        results.append(found)
    _show(console, results)
    return 0 if results and all(row["passed"] for row in results) else 1


def _apart(chosen: Sequence[Scenario], size: Size, seeds: range, console: Console) -> Iterator[dict[str, Any]]:
    """Each in a world of its own; one that breaks does not hide the others."""
    for scenario in chosen:
        console.rule(scenario.TITLE)
        for seed in seeds:
            try:
                with scenario.world(size, seed, partial(_say, console)) as rig:
                    yield _play(rig, scenario, seed, console)
            except Exception as error:
                yield _broken(scenario, seed, error, console)


def _together(chosen: Sequence[Scenario], size: Size, seeds: range, console: Console) -> Iterator[dict[str, Any]]:
    """In one world, as the short ones are: what a story leaves behind meets the next one."""
    brokers = max(scenario.brokers for scenario in chosen)
    overrides = {name: values for scenario in chosen for name, values in scenario.overrides.items()}
    properties = {name: value for scenario in chosen for name, value in scenario.broker_properties.items()}
    with rigged(
        size,
        seeds[0],
        brokers=brokers,
        overrides=overrides,
        broker_properties=properties,
        say=partial(_say, console),
    ) as rig:
        for scenario in chosen:
            console.rule(scenario.TITLE)
            for seed in seeds:
                try:
                    yield _play(rig, scenario, seed, console)
                except Exception as error:
                    yield _broken(scenario, seed, error, console)


def _play(rig: Rig, scenario: Scenario, seed: int, console: Console) -> dict[str, Any]:
    rig.seed = seed
    verdict = rig.play(scenario.NAME, scenario.story)
    if not verdict.passed:
        console.print(rig.crew.complaints(), highlight=False, markup=False)
    return verdict.to_dict()


def _broken(scenario: Scenario, seed: int, error: Exception, console: Console) -> dict[str, Any]:
    console.print(traceback.format_exc(), highlight=False, markup=False)
    return {"scenario": scenario.NAME, "seed": seed, "passed": False, "failures": [f"{type(error).__name__}: {error}"]}


def _say(console: Console, text: str) -> None:
    console.print(f"[dim]•[/] {text}", highlight=False)


def _sized(size: Size, given: argparse.Namespace) -> Size:
    chosen = {name: getattr(given, name) for name in ("devices", "rate", "cycles", "good", "bad")}
    if given.lane:
        chosen["lanes"] = tuple(Lane(name) for name in given.lane)
    if given.platform:
        chosen["platforms"] = tuple(given.platform)
    chosen["patience"] = patience_of(machine()["calibration_us"]) if given.patience is None else given.patience
    chosen["fault_seconds"], chosen["invalid_seconds"] = given.seconds, given.invalid_seconds
    if given.outage:
        chosen["outages_seconds"] = tuple(given.outage)
    return replace(size, **{name: value for name, value in chosen.items() if value is not None})


def patience_of(calibration_us: float) -> float:
    """How many times as long a machine may take as the one for which the limits of waiting were chosen."""
    return round(max(1.0, calibration_us / CALIBRATION_US), 1)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make faults", description=__doc__)
    names = [scenario.NAME for scenario in SCENARIOS]
    parser.add_argument("--only", action="append", choices=names, help="this scenario; may be given again")
    parser.add_argument("--seed", type=int, default=1, help="of the moments, the victims, the load")
    parser.add_argument("--repeat", type=int, default=1, help="so many seeds, one after the other")
    parser.add_argument("--one-world", action="store_true", help="one after the other in the same world: faster")
    parser.add_argument("--short", action="store_true", help="the size that `make test` runs")
    parser.add_argument("--devices", type=int)
    parser.add_argument("--rate", type=int, help="events per second")
    parser.add_argument("--cycles", type=int, help="strikes of each kind")
    parser.add_argument("--seconds", type=float, help="how long each provider fault holds, and between storms")
    parser.add_argument("--outage", type=float, action="append", help="seconds without a broker; may be given again")
    parser.add_argument("--invalid-seconds", type=float, help="how long every token is called invalid")
    parser.add_argument(
        "--patience", type=float, help="limits of waiting are so many times as long; by default as the machine is slow"
    )
    parser.add_argument("--good", type=int, help="good records of the poison scenario")
    parser.add_argument("--bad", type=int, help="malformed records of the poison scenario")
    parser.add_argument("--lane", action="append", help="only this lane; may be given again")
    parser.add_argument("--platform", action="append", help="only this platform; may be given again")
    return parser


def _show(console: Console, results: list[dict[str, Any]]) -> None:
    table = Table(title="faults")
    for column in ("scenario", "seed", *COLUMNS, "seconds", "verdict"):
        table.add_column(column.replace("_", " "), justify="left" if column == "scenario" else "right")
    for row in results:
        cells = [str(row.get(column, "-")) for column in ("scenario", "seed", *COLUMNS, "seconds")]
        table.add_row(*cells, "[green]passed[/]" if row["passed"] else "[red]FAILED[/]")
    console.print(table)
    for row in results:
        for failure in row["failures"]:
            console.print(f"[red]{row['scenario']} (seed {row['seed']})[/]: {failure}", highlight=False)
    good = bool(results) and all(row["passed"] for row in results)
    console.print("[bold green]nothing lost, nothing doubled beyond its bound[/]" if good else "[bold red]FAILED[/]")


if __name__ == "__main__":
    sys.exit(main())
