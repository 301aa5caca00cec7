"""`pushcast <noun> <verb>`: one file per noun. Exit codes: 0 ok, 1 failed or not balanced, 2 usage, 3 drift."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from pushcast import __version__
from pushcast.config.settings import CONFIG_VARIABLE
from pushcast.model.said import said

GROUPS = (
    "kafka",
    "topology",
    "schemas",
    "config",
    "device",
    "broadcast",
    "segment",
    "channel",
    "dlq",
    "schedule",
    "prefer",
    "digest",
    "seal",
    "key",
    "report",
    "webhook",
    "bench",
)
COMMANDS = (
    "up",
    "down",
    "run",
    "sim",
    "send",
    "cancel",
    "pace",
    "pause",
    "resume",
    "audit",
    "why",
    "whatif",
    "status",
    "slo",
    "receipts",
    "demo",
)


def build(nouns: Sequence[str]) -> typer.Typer:
    """The command line with these nouns. Importing a noun costs up to a second: a role's process needs only `run`."""
    app = typer.Typer(
        name="pushcast",
        help="Push notifications as a Kafka stream.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )

    @app.callback()
    def pushcast(
        version: Annotated[
            bool, typer.Option("--version", help="Show the version and exit.", callback=_version, is_eager=True)
        ] = False,
        config: Annotated[
            Path | None,
            typer.Option(exists=True, dir_okay=False, help=f"Instead of {CONFIG_VARIABLE} and of pushcast.yaml here."),
        ] = None,
    ) -> None:
        """Push notifications as a Kafka stream."""
        if config is not None:
            os.environ[CONFIG_VARIABLE] = str(config.absolute())  # processes that this one starts read it as well

    for noun in nouns:
        module = import_module(f"pushcast.cli.{noun}")
        if noun in GROUPS:
            app.add_typer(module.app, name=noun)
        else:
            app.command(noun)(getattr(module, noun))
    return app


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"pushcast {__version__}")
        raise typer.Exit


def noun_of(words: Sequence[str]) -> str | None:
    """The noun or command that is asked for, behind `--config FILE` or not; None: none, or one that does not exist."""
    rest = list(words)
    while rest and rest[0].split("=")[0] == "--config":
        del rest[: 1 if "=" in rest[0] else 2]
    return rest[0] if rest and rest[0] in {*GROUPS, *COMMANDS} else None


def main() -> None:
    """Entry point: errors that are ours become one sentence on stderr and their exit code."""
    asked = noun_of(sys.argv[1:])
    try:
        build([*GROUPS, *COMMANDS] if asked is None else [asked])()
    except KeyboardInterrupt:  # while modules are read; what comes later Typer hears itself, with this code, too
        sys.exit(130)
    except Exception as error:
        if (told := said(error)) is None:
            raise
        typer.echo(f"error: {told[0]}", err=True)
        sys.exit(told[1])
