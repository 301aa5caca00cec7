"""`pushcast pace`: how fast a campaign leaves."""

from __future__ import annotations

from typing import Annotated

import typer

from pushcast.cli.output import Output, OutputOption, print_json
from pushcast.cli.session import connect
from pushcast.cli.signed import as_said, operator
from pushcast.model.pacing import MAX_PER_MINUTE
from pushcast.wire.control.control import Kind, Name, Rate
from pushcast.wire.control.control_reader import parse_key


def pace(
    campaign: Annotated[str, typer.Argument(help="The label that its notifications carry.")],
    per_minute: Annotated[
        int | None, typer.Option(min=1, max=MAX_PER_MINUTE, help="Notifications a minute, of all users together.")
    ] = None,
    end: Annotated[bool, typer.Option("--end", help="As the configuration says from now on.")] = False,
    comment: Annotated[str, typer.Option(help="Why, for whoever looks at it later.")] = "",
    output: OutputOption = Output.text,
) -> None:
    """Change how fast a campaign leaves, in all keepers within 2 seconds, until --end.

    What has not been planned yet keeps to it, and what waits with the keeper because of it. What is planned leaves as
    fast as its provider takes it.
    """
    from pushcast.kafka.switchboard import write_within_limit

    if (per_minute is None) is not end:
        raise typer.BadParameter("give --per-minute, or --end")
    subject = Name(Kind.PACE, campaign)
    parse_key(subject.key())
    by = operator()
    entry = None if per_minute is None else Rate(per_minute, by, as_said(comment))
    write_within_limit(connect(), subject, entry)
    if output is Output.json:
        print_json({"campaign": campaign, "per_minute": per_minute})
    elif per_minute is None:
        typer.echo(f"campaign {campaign} leaves as the configuration says")
    else:
        typer.echo(f"campaign {campaign} leaves at {per_minute:,} notifications a minute")
