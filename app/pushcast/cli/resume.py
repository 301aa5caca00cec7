"""`pushcast resume`: ends what `pushcast pause` began."""

from __future__ import annotations

import typer

from pushcast.cli.output import Output, OutputOption, print_json
from pushcast.cli.pause import AppOption, LaneOption, PlatformOption, named, paused_row, subject_of
from pushcast.cli.session import connect
from pushcast.model.errors import PushcastError


class PausedAsAWhole(PushcastError):
    """A lane cannot be resumed alone while every lane is paused."""


def resume(
    app: AppOption = None,
    platform: PlatformOption = None,
    lane: LaneOption = None,
    output: OutputOption = Output.text,
) -> None:
    """Send again for an app on a platform; without a lane, every pause of it ends.

    What was parked is sent unless it has expired. Nothing paused is no error.
    """
    from pushcast.kafka.switchboard import read_state, write

    settings = connect()
    subject = subject_of(settings, app, platform, lane)
    pauses = dict(read_state(settings).pauses)
    if lane is not None and subject not in pauses and subject._replace(lane=None) in pauses:
        raise PausedAsAWhole(f"{named(subject._replace(lane=None))} is paused: resume it without --lane")
    ended = [
        each
        for each in pauses
        if each == subject or (lane is None and (each.app, each.platform) == (subject.app, subject.platform))
    ]
    for each in ended:
        write(settings, each, None)
    if output is Output.json:
        print_json({"resumed": [paused_row(each, pauses[each]) for each in ended]})
    elif ended:
        for each in ended:
            typer.echo(f"{named(each)} is resumed")
    else:
        typer.echo(f"{named(subject)} was not paused: nothing changed")
