"""`pushcast <noun> <verb>`: one file per noun. Exit codes: 0 ok, 1 failed or not balanced, 2 usage, 3 drift."""

from __future__ import annotations

import sys

import typer

from pushcast.cli import (
    audit,
    bench,
    config,
    demo,
    device,
    kafka,
    run,
    schemas,
    send,
    sim,
    topology,
)
from pushcast.model.errors import ConfigurationError, PushcastError

app = typer.Typer(
    name="pushcast",
    help="Push notifications as a Kafka stream.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.add_typer(kafka.app, name="kafka")
app.add_typer(topology.app, name="topology")
app.add_typer(schemas.app, name="schemas")
app.add_typer(config.app, name="config")
app.add_typer(device.app, name="device")
app.add_typer(bench.app, name="bench")
app.command("run")(run.run)
app.command("sim")(sim.sim)
app.command("send")(send.send)
app.command("audit")(audit.audit)
app.command("demo")(demo.demo)


def main() -> None:
    """Entry point: errors that are ours become one sentence on stderr and their exit code."""
    try:
        app()
    except ConfigurationError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(2)
    except PushcastError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(1)
