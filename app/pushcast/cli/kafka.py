"""`pushcast kafka start|stop|status|delete`: the embedded Kafka as a daemon."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from pushcast.cli.output import Output, OutputOption, print_json, say
from pushcast.config.settings import Kafka, load
from pushcast.kafka import embedded
from pushcast.model.errors import ConfigurationError

app = typer.Typer(
    name="kafka",
    help="A real Apache Kafka on this machine: no root, no Docker, no installed JDK.",
    no_args_is_help=True,
)


DataDir = Annotated[
    Path | None,
    typer.Option(help="Where the cluster keeps its data and logs.", show_default="~/.local/share/pushcast/kafka"),
]


@app.command()
def start(
    brokers: Annotated[
        int | None, typer.Option(help="How many brokers; three replicate everything.", show_default="1, or as before")
    ] = None,
    data_dir: DataDir = None,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="The first broker's port.", show_default="9092, or a free one")
    ] = None,
    offline: Annotated[
        bool, typer.Option("--offline", help="Take the jars from the cache, never from the net.")
    ] = False,
    output: OutputOption = Output.text,
) -> None:
    """Start it (or leave it running) and return once it answers."""
    info = embedded.start(brokers=brokers, data_dir=data_dir, port=port, offline=offline, progress=_progress())
    _show(info, output)
    if info.bootstrap_servers != (known := _configured()):
        say(
            f"note: other commands go to {known}, which is not this Kafka. To reach this one:\n"
            f"  export PUSHCAST_KAFKA__BOOTSTRAP_SERVERS={info.bootstrap_servers}"
        )


@app.command()
def stop(data_dir: DataDir = None, output: OutputOption = Output.text) -> None:
    """Stop it; data and logs stay. Exit 0 when it did not run, too."""
    stopped = embedded.stop(data_dir, progress=_progress())
    if output is Output.json:
        print_json({"stopped": stopped})
    else:
        typer.echo("stopped" if stopped else "it was not running")


@app.command()
def delete(data_dir: DataDir = None, output: OutputOption = Output.text) -> None:
    """Stop it and remove its topics, records and logs. The downloaded jars stay in the cache."""
    deleted = embedded.delete(data_dir, progress=_progress())
    if output is Output.json:
        print_json({"deleted": deleted})
    else:
        typer.echo("deleted" if deleted else "there was none")


@app.command()
def status(data_dir: DataDir = None, output: OutputOption = Output.text) -> None:
    """Show the running cluster; exit 1 when it is down."""
    info = embedded.status(data_dir)
    if info is None:
        typer.echo("the embedded Kafka is down; start it with: pushcast kafka start", err=True)
        raise typer.Exit(1)
    _show(info, output)


def _show(info: embedded.ClusterInfo, output: Output) -> None:
    if output is Output.json:
        print_json(info.to_dict())
        return
    typer.echo(f"Apache Kafka {embedded.KAFKA_VERSION} at {info.bootstrap_servers}")
    typer.echo(f"brokers  {len(info.pids)} of {info.brokers} up, pids {', '.join(map(str, info.pids))}")
    typer.echo(f"data     {info.data_dir}")
    for path in info.log_files:
        typer.echo(f"log      {path}")


def _configured() -> str:
    """Where other commands look. A configuration that is refused says so when they are called."""
    try:
        return load().kafka.bootstrap_servers
    except ConfigurationError:
        return Kafka().bootstrap_servers


def _progress() -> Callable[[str], None]:
    console = Console(stderr=True)
    return lambda line: console.print(line, markup=False, highlight=False, soft_wrap=True)
