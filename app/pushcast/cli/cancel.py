"""`pushcast cancel`: notifications that must not leave any more."""

from __future__ import annotations

import time
from typing import Annotated

import orjson
import typer

from pushcast.cli.output import Output, OutputOption, print_json
from pushcast.cli.session import connect, connect_by_user, require_app
from pushcast.cli.signed import as_said, operator
from pushcast.wire import topics
from pushcast.wire.control.control import CampaignCancel, Kind, Name
from pushcast.wire.control.control_reader import parse_key
from pushcast.wire.events.cancels import CancelDecoder


def cancel(
    ids: Annotated[list[str] | None, typer.Argument(metavar="ID...", help="Notification ids of one user.")] = None,
    user: Annotated[str | None, typer.Option(help="User id.")] = None,
    app: Annotated[str | None, typer.Option(help="App of the thread.")] = None,
    thread: Annotated[str | None, typer.Option(help="Everything of this thread created until now.")] = None,
    campaign: Annotated[str | None, typer.Option(help="Everything of this campaign, of all users.")] = None,
    end: Annotated[bool, typer.Option("--end", help="What comes of the campaign from now on leaves again.")] = False,
    remove: Annotated[
        bool,
        typer.Option("--remove", help="Also take back what devices show; of a campaign what is of removable classes."),
    ] = False,
    report: Annotated[
        bool, typer.Option("--report", help="Cancel nothing: tell what was stopped, and what had left already.")
    ] = False,
    reason: Annotated[str, typer.Option(help="Why, for whoever looks at it later.")] = "",
    output: OutputOption = Output.text,
) -> None:
    """Cancel notifications of a user, or a campaign. What has not left ends as `cancelled`; what is at a provider ends
    as it says.

    An id that is not known yet is cancelled, too: it may still come. The cancel of ids and threads holds for 7 days,
    that of a campaign until --end.
    """
    if campaign is not None:
        if ids or user or app or thread:
            raise typer.BadParameter("--campaign stands alone")
        if report:
            _tell(output, campaign, "", [])
            return
        _campaign(campaign, output, end=end, remove=remove, comment=reason)
    elif user is None or not (ids or thread) or end:
        raise typer.BadParameter("give --user, and IDs or --thread with --app; or --campaign")
    elif report:
        if not ids:
            raise typer.BadParameter("--report needs IDs, or --campaign")
        _tell(output, None, user, ids)
    else:
        _of_user(user, ids or [], app, thread, reason, output, remove=remove)


def _tell(output: Output, campaign: str | None, user: str, ids: list[str]) -> None:
    from pushcast.audit import cancel_reading

    settings = connect_by_user()
    if campaign is None:
        report = cancel_reading.of_user(settings, user, ids)
    else:
        report = cancel_reading.of_campaign(settings, campaign)
    found = report.to_dict()
    if output is Output.json:
        print_json(found)
        return
    typer.echo(
        f"{found['cancelled']} stopped, {found['already_left']} too late, {found['ended_before']} ended before; "
        f"{found['open']} on the way, {found['waiting']} waiting for their time"
    )


def _of_user(
    user: str, ids: list[str], app: str | None, thread: str | None, reason: str, output: Output, *, remove: bool
) -> None:
    from pushcast.kafka.intake import IntakeProducer

    event = {"ids": ids, "app": app, "thread": thread, "reason": reason, "remove": remove}
    value = orjson.dumps({name: given for name, given in event.items() if given})
    CancelDecoder().decode(user, value, round(time.time() * 1000))
    settings = connect_by_user()
    if app is not None:
        require_app(settings, app)  # the cancel of a thread of no app would end nothing, and say that it did
    with IntakeProducer(settings) as producer:
        producer.put(topics.CANCEL, user, value)
    if output is Output.json:
        print_json({"user": user, "ids": ids, "app": app, "thread": thread, "remove": remove})
    else:
        what = [*ids, *([f"thread {thread}"] if thread else [])]
        typer.echo(f"cancelled for {user}: {', '.join(what)}")


def _campaign(campaign: str, output: Output, *, end: bool, remove: bool, comment: str) -> None:
    from pushcast.kafka.switchboard import write_within_limit

    subject = Name(Kind.CANCEL, campaign)
    parse_key(subject.key())
    by = operator()
    entry = None if end else CampaignCancel(remove=remove, by=by, comment=as_said(comment))
    write_within_limit(connect(), subject, entry)
    if output is Output.json:
        print_json({"campaign": campaign, "cancelled": not end, "remove": remove})
    else:
        typer.echo(f"campaign {campaign} {'leaves again' if end else 'is cancelled'}")
