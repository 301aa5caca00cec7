"""`pushcast bench NAME`: figures with their set-up."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from pushcast.bench.base import Options, Result
from pushcast.bench.registry import BENCHES, run
from pushcast.cli.output import Output, OutputOption, print_json, say

app = typer.Typer(
    name="bench",
    help="Measure a role on a real Kafka. `per CPU second` is of the process under test.",
    no_args_is_help=True,
)

Items = Annotated[int | None, typer.Option(min=1, help="How many.", show_default="the benchmark's own")]
Shapes = Annotated[list[str] | None, typer.Option("--shape", help="Only these rows.", show_default="all")]
Servers = Annotated[
    str | None, typer.Option("--bootstrap-servers", help="Instead of a temporary cluster.", show_default=False)
]
Sink = Annotated[
    Path | None,
    typer.Option("--sink", exists=True, dir_okay=False, help="bench send: a built Go sink.", show_default=False),
]


@app.callback()
def _group() -> None:
    """Keeps the benchmark's name on the command line even while there is only one."""


def _command(name: str) -> None:
    def bench(
        items: Items = None,
        shape: Shapes = None,
        bootstrap_servers: Servers = None,
        sink: Sink = None,
        output: OutputOption = Output.text,
    ) -> None:
        shapes = None if not shape else tuple(shape)
        result = run(name, Options(items, shapes, bootstrap_servers, sink, say))
        if output is Output.json:
            print_json(result.to_dict())
        else:
            _table(result)

    app.command(name, help=BENCHES[name].summary)(bench)


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
    console = Console()
    console.print(table)
    console.print(", ".join(f"{key} {value}" for key, value in shown["setup"].items()), markup=False, highlight=False)
