"""`pushcast config show|check`."""

from __future__ import annotations

from typing import Any

import typer
import yaml

from pushcast.cli.output import Output, OutputOption, counted, print_json, say
from pushcast.config.reading import without_user_info
from pushcast.config.settings import load

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
