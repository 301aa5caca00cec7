"""`pushcast config show|check`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from pushcast.cli.output import DRIFT, Output, OutputOption, counted, print_json, say
from pushcast.config.changes import compare
from pushcast.config.reading import without_user_info
from pushcast.config.settings import CONFIG_VARIABLE, load

app = typer.Typer(name="config", help="The configuration, as this process would see it.", no_args_is_help=True)


@app.command()
def show(output: OutputOption = Output.text) -> None:
    """Show the effective configuration. It names secret files and never what is in them, nor users of URLs."""
    tree: dict[str, Any] = without_user_info(load().model_dump(mode="json"))
    if output is Output.json:
        print_json(tree)
    else:
        typer.echo(yaml.safe_dump(tree, sort_keys=False).rstrip())


@app.command()
def check() -> None:
    """Do all that a start does with the configuration. Exit 2 with every fault named when a role would refuse it."""
    from pushcast.runtime import preflight

    settings = load()
    preflight.require(settings)
    for warning in preflight.readable_by_all(settings):
        say(f"warning: {warning}")
    typer.echo(f"ok: {counted(len(settings.apps), 'app')}, {counted(len(settings.classes), 'class')}")


@app.command()
def diff(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The configuration to come.")],
    output: OutputOption = Output.text,
) -> None:
    """Show which settings a file would change, and which of them need a restart (exit 3) to be taken."""
    now = load()
    before = os.environ.get(CONFIG_VARIABLE)
    os.environ[CONFIG_VARIABLE] = str(file)
    try:
        found = compare(now, load())
    finally:
        os.environ.pop(CONFIG_VARIABLE) if before is None else os.environ.update({CONFIG_VARIABLE: before})
    if output is Output.json:
        print_json({"taken": found.taken, "restart_needed": found.restart_needed})
    else:
        for name in found.taken:
            typer.echo(f"{name}: taken while running")
        for name in found.restart_needed:
            typer.echo(f"{name}: needs a restart")
        if not found.taken and not found.restart_needed:
            typer.echo("nothing differs")
    if found.restart_needed:
        raise typer.Exit(DRIFT)
