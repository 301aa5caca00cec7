"""`pushcast send`: write notifications, and follow them to their receipts."""

from __future__ import annotations

import sys
import time
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from pushcast.cli.lines import Lines, NotificationCheck, NumberedLine, written_or_refused
from pushcast.cli.output import Output, OutputOption, print_json, say
from pushcast.cli.session import connect_by_user, require_app
from pushcast.config.settings import Settings
from pushcast.model.words import Lane
from pushcast.wire.control.control import Rate
from pushcast.wire.events.notification_rules import DEFAULT_CLASS


def send(
    file: Annotated[
        Path | None, typer.Argument(help="Lines of JSON, each a notification plus `user`; - reads stdin.")
    ] = None,
    user: Annotated[str | None, typer.Option(help="User id.")] = None,
    app: Annotated[str | None, typer.Option(help="App; absent: all apps of the user.")] = None,
    title: Annotated[str | None, typer.Option(help="First line.")] = None,
    body: Annotated[str | None, typer.Option(help="Text.")] = None,
    lane: Annotated[Lane | None, typer.Option(help="Lane; absent: the class's.")] = None,
    klass: Annotated[str | None, typer.Option("--class", help="Class; absent: default.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Validate only, show nothing.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Follow to the receipts.")] = False,
    timeout_seconds: Annotated[float, typer.Option(help="Longest wait.")] = 60.0,
    check: Annotated[bool, typer.Option("--check/--no-check", help="Refuse what would become a dead letter.")] = True,
    output: OutputOption = Output.text,
) -> None:
    """Write notifications. Exit 1 when a line was refused; with --wait, also unless every delivery was accepted."""
    from pushcast.audit.follow import follow
    from pushcast.kafka.intake import IntakeProducer, lines_of
    from pushcast.wire import topics
    from pushcast.wire.times import rfc3339

    if file is not None and (user, app, title, body, klass) != (None,) * 5:
        raise typer.BadParameter("a FILE says user, app, class, title and body in its lines; leave the options out")
    if file is None and (user is None or not (title or body)):
        raise typer.BadParameter("give --user and --title or --body, or a FILE")
    settings = connect_by_user()
    if app is not None and check:
        require_app(settings, app)
    if file is None:
        event: dict[str, Any] = {"id": str(uuid.uuid4()), "user": user, "app": app, "title": title, "body": body}
        event |= {"class": klass, "options": {"dry_run": True} if dry_run else None}
        try:
            lines: Iterator[NumberedLine] = iter([(1, orjson.dumps({k: v for k, v in event.items() if v is not None}))])
        except TypeError:  # such bytes come as half surrogates
            raise typer.BadParameter("an option is not UTF-8") from None
    else:
        given = lines_of(sys.stdin.buffer if str(file) == "-" else file)
        lines = _as_dry_runs(given) if dry_run else given
    started_ms = round(time.time() * 1000)
    checks = NotificationCheck(settings, lambda: _live_rates(settings), lane) if check else None
    with IntakeProducer(settings) as producer:
        intake = Lines(producer, checks)
        written = list(intake.write(lines, lambda event: topics.notification(lane or _lane(settings, event))))
    result: dict[str, Any] = {"ids": [note for _, note in written], "refused": intake.refused}
    if checks is not None and (too_slow := checks.too_slow()):
        result["too_slow"] = [each.to_dict() for each in too_slow]
        for each in too_slow:
            say(str(each))
    failed = intake.refused > 0
    if wait and written:
        followed = follow(settings, set(written), started_ms, timeout_seconds)
        result |= followed.to_dict()
        failed = failed or not followed.all_accepted
        if held := followed.held:
            why = ", ".join(sorted(set(followed.held_because.values())))
            say(
                f"{len(held)} held ({why}), the first until {rfc3339(min(held.values()))}; "
                "`pushcast schedule list` shows them, and --timeout-seconds may be longer"
            )
        elif not followed.finished:
            say(
                f"not finished within {timeout_seconds:.0f} s: {followed.planned_count} planned, "
                f"{followed.ended_count} ended; `pushcast audit` tells where the rest is"
            )
    if output is Output.json:
        print_json(result)
    else:
        for note in result["ids"]:
            typer.echo(note)
        for receipt in result.get("receipts", []):
            typer.echo(f"  {_receipt_line(receipt)}")
        for note, reason in result.get("not_planned", {}).items():
            typer.echo(f"  {note}: nothing was planned, {reason}")
        for letter in result.get("dead_letters", []):
            typer.echo(f"  {letter['id']} for {letter['user']}: dead letter, {letter['reason']}: {letter['message']}")
    if failed:
        raise typer.Exit(1)


def _receipt_line(receipt: dict[str, Any]) -> str:
    """A receipt without a device is the whole notification's."""
    device, note = receipt["device"], receipt["notification_id"]
    whose = f"{receipt['platform']} {device}" if device else f"{note}, no device"
    return f"{whose}: {receipt['outcome']} {receipt['reason'] or ''}".rstrip()


def _as_dry_runs(lines: Iterable[tuple[int, bytes]]) -> Iterator[NumberedLine]:
    """Each line, whatever it says of dry runs itself. What is no notification is left to the decoder."""
    for number, line in lines:
        try:
            event = orjson.loads(line)
        except orjson.JSONDecodeError:
            yield number, line
            continue
        if isinstance(event, dict) and isinstance(options := event.get("options") or {}, dict):
            yield number, written_or_refused({**event, "options": {**options, "dry_run": True}})
        else:
            yield number, line


def _live_rates(settings: Settings) -> dict[str, Rate]:
    """What `pushcast pace` has said; nothing where this user may not read it."""
    from pushcast.kafka.control import ControlUnreadable
    from pushcast.kafka.switchboard import read_state

    try:
        return read_state(settings).paces
    except ControlUnreadable as error:
        say(f"rates are taken from the configuration alone: {error}")
        return {}


def _lane(settings: Settings, event: dict[str, Any]) -> Lane:
    """Its class's; a class that is not configured has none, and becomes a dead letter in any."""
    name = event.get("class") or DEFAULT_CLASS
    rule = settings.classes.get(name) if isinstance(name, str) else None
    return Lane.NORMAL if rule is None else rule.lane
