"""`pushcast pause`: the operator's kill switch of an app, and what is paused."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from pushcast.cli.output import Output, OutputOption, counted, print_json, say
from pushcast.cli.session import connect, require_app
from pushcast.cli.signed import as_said, operator
from pushcast.config.settings import Settings
from pushcast.model.words import Lane, Platform
from pushcast.wire.control.control import BreakerRecord, Kind, Pause, Subject
from pushcast.wire.control.control_state import ControlState
from pushcast.wire.times import rfc3339

AppOption = Annotated[
    str | None, typer.Option("--app", help="An app of the configuration; needed.", show_default=False)
]
PlatformOption = Annotated[Platform | None, typer.Option(help="Needed.", show_default=False)]
LaneOption = Annotated[Lane | None, typer.Option(help="Only this lane.", show_default="every lane")]


def pause(
    app: AppOption = None,
    platform: PlatformOption = None,
    lane: LaneOption = None,
    comment: Annotated[str, typer.Option(help="Why, for whoever looks at it later.")] = "",
    list_: Annotated[bool, typer.Option("--list", help="Show what is paused and which breakers are open.")] = False,
    output: OutputOption = Output.text,
) -> None:
    """Stop sending for an app on a platform, in all processes within 2 seconds, until `pushcast resume`.

    Its work is kept in push.parked.v1 meanwhile, and sent on resumption unless it has expired.
    """
    from pushcast.kafka.switchboard import read_state, write

    settings = connect()
    if list_:
        if (app, platform, lane) != (None, None, None):
            raise typer.BadParameter("--list stands alone")
        _show(*in_force(read_state(settings)), output)
        return
    subject = subject_of(settings, app, platform, lane)
    state = read_state(settings)
    known = state.pauses.get(subject)
    entry = known or Pause(int(time.time() * 1000), operator(), as_said(comment))
    if known is None:
        state.check_room(subject)
        write(settings, subject, entry)
    if output is Output.json:
        print_json(paused_row(subject, entry) | {"changed": known is None})
    else:
        since = "" if known is None else f" since {rfc3339(known.since_ms)}: nothing changed"
        typer.echo(f"{named(subject)} is paused{since}")


def in_force(state: ControlState) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """(pauses, open breakers), for JSON."""
    pauses = [paused_row(subject, entry) for subject, entry in sorted(state.pauses.items(), key=_order)]
    return pauses, [_breaker_row(*where, entry) for where, entry in sorted(state.breakers.items()) if entry.is_open]


def subject_of(settings: Settings, app: str | None, platform: Platform | None, lane: Lane | None) -> Subject:
    """What the options name. Raises ConfigurationError for an app that the configuration does not know."""
    if app is None or platform is None:
        raise typer.BadParameter("--app and --platform are needed, both")
    require_app(settings, app)
    return Subject(Kind.PAUSE, app, platform, lane)


def named(subject: Subject) -> str:
    """For people."""
    return f"{subject.app} on {subject.platform}, {subject.lane or 'every'} lane"


def paused_row(subject: Subject, entry: Pause) -> dict[str, Any]:
    """For JSON. `lane` null: every lane."""
    return {
        "app": subject.app,
        "platform": subject.platform,
        "lane": subject.lane,
        "since": rfc3339(entry.since_ms),
        "by": entry.by,
        "comment": entry.comment,
    }


def _breaker_row(app: str, platform: Platform, entry: BreakerRecord) -> dict[str, Any]:
    return {
        "app": app,
        "platform": platform,
        "reason": entry.reason,
        "opened_at": rfc3339(entry.opened_at_ms),
        "abnormal_since": rfc3339(entry.abnormal_since_ms),
        "by": entry.by,
    }


def _order(item: tuple[Subject, Pause]) -> tuple[str, str, str]:
    subject = item[0]
    return subject.app, subject.platform, subject.lane or ""


def _show(pauses: list[dict[str, Any]], breakers: list[dict[str, Any]], output: Output) -> None:
    if output is Output.json:
        print_json({"pauses": pauses, "open_breakers": breakers})
        return
    for line in lines_in_force(pauses, breakers):
        typer.echo(line)
    say(f"{len(pauses)} paused, {counted(len(breakers), 'breaker')} open")


def lines_in_force(pauses: list[dict[str, Any]], breakers: list[dict[str, Any]]) -> Iterator[str]:
    """For people."""
    for row in pauses:
        comment = f": {row['comment']}" if row["comment"] else ""
        place = f"{row['app']}  {row['platform']}  {row['lane'] or 'every lane'}"
        yield (f"{place}  paused since {row['since']} by {row['by']}{comment}")
    for row in breakers:
        yield (f"{row['app']}  {row['platform']}  breaker open since {row['opened_at']}: {row['reason']}")
