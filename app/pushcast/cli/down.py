"""`pushcast down`: the end of what `pushcast up` started in this folder."""

from __future__ import annotations

from typing import Annotated

import typer

from pushcast.cli.output import say


def down(
    data: Annotated[
        bool, typer.Option("--data", help="Also remove its topics, logs, credentials and ./pushcast.yaml.")
    ] = False,
) -> None:
    """Stop what `pushcast up` started in this folder. Exit 0 when nothing ran, too."""
    from pushcast.demo.up import Place
    from pushcast.demo.up import down as stop

    stopped = stop(Place.here(), data, say)
    typer.echo("stopped" if stopped else "nothing of `pushcast up` runs in this folder")
