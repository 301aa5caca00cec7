"""`pushcast config show|check`."""

from __future__ import annotations

from typing import Any

import typer
import yaml

from pushcast.cli.output import Output, OutputOption, print_json
from pushcast.config.settings import load

app = typer.Typer(name="config", help="The configuration, as this process would see it.", no_args_is_help=True)


@app.command()
def show(output: OutputOption = Output.text) -> None:
    """The effective configuration. It names secret files and never what is in them."""
    tree: dict[str, Any] = load().model_dump(mode="json")
    if output is Output.json:
        print_json(tree)
    else:
        typer.echo(yaml.safe_dump(tree, sort_keys=False).rstrip())


@app.command()
def check() -> None:
    """Exit 2 with every wrong key named when the configuration is refused."""
    settings = load()
    typer.echo(f"ok: {len(settings.apps)} apps, {len(settings.classes)} classes")
