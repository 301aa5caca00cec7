"""`pushcast slo`: the share of deliveries in time, as the reporters count it."""

from __future__ import annotations

from typing import Annotated

import httpx
import typer

from pushcast.cli.output import Output, OutputOption, print_json, say
from pushcast.cli.session import connect
from pushcast.observe.service_level import LevelFigures, lines
from pushcast.runtime import whereabouts

#: Of one page.
FETCH_SECONDS = 5.0


def slo(
    at: Annotated[
        list[str] | None, typer.Option("--at", help="host:port of a reporter's or settler's page on another machine.")
    ] = None,
    output: OutputOption = Output.text,
) -> None:
    """Show the share of each class that was in time since the reporters' start. Exit 1 where it is below the target."""
    settings = connect()
    here = [f"{each.host}:{each.port}" for each in whereabouts.read_all(settings.data_dir)]
    figures = LevelFigures()
    with httpx.Client(trust_env=False, timeout=FETCH_SECONDS) as client:
        for place in [*here, *(at or ())]:
            try:
                figures.read(client.get(f"http://{place}/metrics").raise_for_status().text)
            except (httpx.HTTPError, ValueError) as error:
                say(f"{place} tells no figures: {type(error).__name__}")
    if not figures.planned and not figures.within:
        say("no reporter that is known here has counted a delivery; --at names those of other machines")
    found = figures.to_dict(settings.slo.target, settings.slo.within_seconds)
    if output is Output.json:
        print_json(found)
    else:
        typer.echo("\n".join(lines(found)))
    if not found["met"]:
        raise typer.Exit(1)
