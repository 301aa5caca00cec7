"""`pushcast bench NAME`: figures with their set-up."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from pushcast.bench import against as two_commits
from pushcast.bench.base import Options, Result
from pushcast.bench.pairs import FEWEST_PAIRS
from pushcast.bench.registry import BENCHES, RARE, run
from pushcast.cli.output import Output, OutputOption, print_json, say

app = typer.Typer(
    name="bench",
    help="Measure a role on a real Kafka. `per CPU second` is of the process under test.",
    no_args_is_help=True,
)

PAIRS = 8  # with 8 the interval leaves out the most extreme pair of each side, with 7 it does not
LIMIT_PERCENT = 5.0

Items = Annotated[int | None, typer.Option(min=1, help="How many.", show_default="the benchmark's own")]
Shapes = Annotated[list[str] | None, typer.Option("--shape", help="Only these rows.", show_default="all")]
Servers = Annotated[
    str | None, typer.Option("--bootstrap-servers", help="Instead of a temporary cluster.", show_default=False)
]
Sink = Annotated[
    Path | None,
    typer.Option("--sink", exists=True, dir_okay=False, help="A built Go sink.", show_default=False),
]
Against = Annotated[
    Path | None,
    typer.Option(
        "--against",
        exists=True,
        file_okay=False,
        help="The folder of another checked-out commit: both are measured in turn, and CPU per item is compared.",
        show_default=False,
    ),
]
Pairs = Annotated[int, typer.Option("--pairs", min=FEWEST_PAIRS, help="With --against: runs of each commit.")]
Limit = Annotated[
    float, typer.Option("--limit", min=0.0, help="With --against: per cent that a row may cost more; else exit 1.")
]

Devices = Annotated[
    int | None, typer.Option("--devices", min=2, help="How many users have one.", show_default="the benchmark's own")
]


@app.callback()
def _group() -> None:
    """Keeps the benchmark's name on the command line even while there is only one."""


def _arguments(single: Mapping[str, object], shapes: Iterable[str]) -> list[str]:
    """What the runs of both commits are told of what this one was."""
    given = [part for option, value in single.items() if value is not None for part in (option, str(value))]
    return [*given, *(part for shape in shapes for part in ("--shape", shape))]


def _command(name: str) -> None:
    def bench(
        items: Items = None,
        shape: Shapes = None,
        bootstrap_servers: Servers = None,
        sink: Sink = None,
        devices: Devices = None,
        against: Against = None,
        pairs: Pairs = PAIRS,
        limit: Limit = LIMIT_PERCENT,
        output: OutputOption = Output.text,
    ) -> None:
        if against is not None:
            single: dict[str, object] = {
                "--items": items,
                "--bootstrap-servers": bootstrap_servers,
                "--devices": devices,
            }
            single["--sink"] = None if sink is None else sink.resolve()
            arguments = [name, *_arguments(single, shape or ())]
            _compared(two_commits.run(arguments, against, pairs, limit, say), output)
            return
        shapes = None if not shape else tuple(shape)
        result = run(name, Options(items, shapes, bootstrap_servers, sink, say, devices))
        if output is Output.json:
            print_json(result.to_dict())
        else:
            _table(result)

    app.command(name, help=BENCHES[name].summary)(_without(bench, RARE - BENCHES[name].takes))


def _without(command: Callable[..., None], options: Iterable[str]) -> Callable[..., None]:
    """The command without options that mean nothing to it: they keep their defaults."""
    shown = inspect.signature(command, eval_str=True)  # what it says of its options is in the annotations
    kept = [parameter for name, parameter in shown.parameters.items() if name not in options]
    command.__signature__ = shown.replace(parameters=kept)  # type: ignore[attr-defined]
    return command


for _name in BENCHES:
    _command(_name)


def _table(result: Result) -> None:
    shown = result.to_dict()
    table = Table(
        "row", "items", "seconds", "per second", "CPU seconds", "per CPU second", "RSS MB", "p50 / p95 / p99 ms"
    )
    for row in shown["rows"]:
        latency = row["latency_ms"]
        table.add_row(
            row["name"],
            f"{row['items']:,}",
            f"{row['seconds']:.2f}",
            f"{row['per_second'] or 0:,.0f}",
            f"{row['cpu_seconds']:.2f}",
            f"{row['per_cpu_second'] or 0:,.0f}",
            f"{row['rss_bytes'] / 1e6:,.0f}",
            "" if latency is None else " / ".join(f"{latency[p]:.1f}" for p in ("p50", "p95", "p99")),
        )
    setup = shown["setup"]
    spent = setup.pop("cpu_seconds", {})
    _print(table, setup)
    items = {row["name"]: row["items"] for row in shown["rows"]}
    for name, processes in spent.items():
        each = Table("process", "CPU seconds", "µs an item", title=name)
        for process, cpu_seconds in processes.items():
            each.add_row(process, f"{cpu_seconds:.2f}", f"{cpu_seconds / items[name] * 1e6:.1f}")
        Console().print(each)


def _compared(result: dict[str, Any], output: Output) -> None:
    """Exits 1 when a row is dearer than its limit allows."""
    if output is Output.json:
        print_json(result)
    else:
        table = Table("row", "CPU µs an item", "against", "ratio", "90 % interval", "pairs", "limit")
        for row in result["rows"]:
            low, high = row["interval"]
            table.add_row(
                row["name"],
                f"{row['cpu_us_per_item']:,.2f}",
                f"{row['against_cpu_us_per_item']:,.2f}",
                f"{row['ratio']:.3f}",
                f"{low:.3f} to {high:.3f}",
                str(row["pairs"]),
                f"+{row['limit_percent']:g} % {'broken' if row['broken'] else 'kept'}",
            )
        _print(table, result["setup"])
    if any(row["broken"] for row in result["rows"]):
        raise typer.Exit(1)


def _print(table: Table, setup: dict[str, Any]) -> None:
    console = Console()
    console.print(table)
    console.print(", ".join(f"{key} {value}" for key, value in setup.items()), markup=False, highlight=False)
