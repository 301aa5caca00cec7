"""`pushcast prefer`: what a user wants, and when."""

from __future__ import annotations

import re
import time
from typing import Annotated, Any

import orjson
import typer

from pushcast.cli.output import Output, OutputOption, print_json
from pushcast.cli.session import connect_by_user
from pushcast.wire import topics
from pushcast.wire.devices.devices import DeviceChangeDecoder
from pushcast.wire.devices.user_rows import wishes_of
from pushcast.wire.events.preferences import shown_preferences

app = typer.Typer(name="prefer", no_args_is_help=True)
_WINDOW = re.compile(r"(\d\d:\d\d)-(\d\d:\d\d)(?:@([a-z,]+))?")


@app.callback(invoke_without_command=True)
def prefer(
    context: typer.Context,
    user: Annotated[str | None, typer.Option(help="User id.")] = None,
    of_app: Annotated[str | None, typer.Option("--app", help="For this app alone; absent: for all apps.")] = None,
    class_: Annotated[list[str] | None, typer.Option("--class", help="CLASS=off or CLASS=on; repeatable.")] = None,
    thread: Annotated[list[str] | None, typer.Option(help="THREAD=off or THREAD=on; repeatable.")] = None,
    quiet: Annotated[list[str] | None, typer.Option(help="22:00-07:00, or 22:00-07:00@mon,tue; repeatable.")] = None,
    time_zone: Annotated[str | None, typer.Option(help="Where the user is: an IANA zone.")] = None,
    muted_until: Annotated[str | None, typer.Option(help="Nothing before then: RFC 3339.")] = None,
    output: OutputOption = Output.text,
) -> None:
    """Replace what a user has chosen, for all apps or for one. What is not given is not chosen any more."""
    if context.invoked_subcommand is not None:
        return
    if user is None:
        raise typer.BadParameter("give --user")
    from pushcast.kafka.intake import IntakeProducer

    said: dict[str, Any] = {
        "app": of_app,
        "classes": dict(map(_choice, class_ or ())),
        "threads": dict(map(_choice, thread or ())),
        "quiet_hours": [_window(each) for each in quiet or ()],
        "time_zone": time_zone,
        "muted_until": muted_until,
    }
    event = {"op": "prefer", **{name: value for name, value in said.items() if value}}
    value = orjson.dumps(event)
    settings = connect_by_user()
    DeviceChangeDecoder(settings.apps).decode(user, value, round(time.time() * 1000))
    with IntakeProducer(settings) as producer:
        producer.put(topics.DEVICE_CHANGED, user, value)
    if output is Output.json:
        print_json({"user": user, **event})
    else:
        typer.echo(f"told for {user}, {of_app or 'all apps'}")


@app.command()
def show(
    user: Annotated[str, typer.Argument(help="User id.")],
    output: OutputOption = Output.text,
) -> None:
    """What a user has chosen, as registrars have written it."""
    from pushcast.kafka.intake import own_rows_of_user

    wishes = wishes_of(own_rows_of_user(connect_by_user(), user), _raise)
    every = {"": wishes.everywhere, **wishes.by_app}
    rows = {name: shown_preferences(row) for name, row in every.items() if row.at is not None}
    if output is Output.json:
        print_json([{"user": user, "app": app or None, **row} for app, row in rows.items()])
        return
    for app_name, row in rows.items():
        typer.echo(f"{app_name or 'all apps'}: {orjson.dumps(row).decode()}")
    if not rows:
        typer.echo(f"{user} has chosen nothing")


def _raise(error: Exception) -> None:
    raise error


def _choice(text: str) -> tuple[str, str]:
    name, separator, word = text.rpartition("=")
    if not separator:
        raise typer.BadParameter(f"{text!r} is not NAME=off or NAME=on")
    return name, word


def _window(text: str) -> dict[str, Any]:
    found = _WINDOW.fullmatch(text)
    if found is None:
        raise typer.BadParameter(f"{text!r} is not like 22:00-07:00 or 22:00-07:00@mon,tue")
    window: dict[str, Any] = {"from": found[1], "to": found[2]}
    return window if found[3] is None else {**window, "days": found[3].split(",")}
