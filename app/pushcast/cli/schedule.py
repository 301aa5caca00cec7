"""`pushcast schedule`: what waits for its time."""

from __future__ import annotations

import time
from typing import Annotated

import orjson
import typer

from pushcast.cli import forecast
from pushcast.cli.output import Output, OutputOption, counted, print_json, say
from pushcast.cli.session import connect_by_user
from pushcast.config.rates import fcm_quotas
from pushcast.model.errors import PushcastError

app = typer.Typer(name="schedule", help="What waits for its time.", no_args_is_help=True)


class NothingScheduled(PushcastError):
    """No keeper holds or held a notification of this id lately."""


@app.command("list")
def list_(
    user: Annotated[str | None, typer.Option(help="User id; absent: everybody.")] = None,
    campaign: Annotated[
        str | None, typer.Option(help="Only what carries this label; not what waits of broadcasts.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 1000,
    output: OutputOption = Output.text,
) -> None:
    """What waits, by when it is due. Reads the keeper's topic; exit 1 when something is overdue by over a minute."""
    from pushcast.audit.timers import of_campaign, timers_of
    from pushcast.wire.configured_schemas import schemas_for_tool

    settings = connect_by_user()
    waiting = [each for each in timers_of(settings, user) if each.timer.waits]
    if campaign is not None:
        waiting = of_campaign(waiting, campaign, schemas_for_tool(settings))
    overdue = sum(each.timer.due_at < time.time() * 1000 - 60_000 for each in waiting)
    rows = [each.to_dict() for each in waiting[:limit]]
    if output is Output.json:
        print_json({"waiting": len(waiting), "overdue": overdue, "timers": rows})
    else:
        for row in rows:
            typer.echo(f"{row['due_at'] or 'at once':24}  {row['lane']:6}  {row['user']}  {row['notification']}")
        say(f"{counted(len(waiting), 'notification')} waiting, {overdue} overdue")
    if overdue:
        raise typer.Exit(1)


@app.command()
def show(
    notification: Annotated[str, typer.Argument(help="Notification id.")],
    user: Annotated[str, typer.Option(help="User id.")],
    output: OutputOption = Output.text,
) -> None:
    """One notification that waits, or was released within the last day; what it says is in `event`."""
    from pushcast.audit.timers import timers_of

    found = [each for each in timers_of(connect_by_user(), user) if each.notification == notification]
    if not found:
        raise NothingScheduled(f"nothing of {notification} is held for {user}, nor was lately")
    rows = [{**each.to_dict(), "event": _event(each.timer.event)} for each in found]
    if output is Output.json:
        print_json(rows)
        return
    for row in rows:
        state = f"released {row['released_at']}" if row["released_at"] else f"due {row['due_at'] or 'at once'}"
        closes = f", ends as {row['closes']}" if row["closes"] else ""
        typer.echo(f"{notification} for {user}: {state}, lane {row['lane']}{closes}")


@app.command("forecast")
def forecast_(output: OutputOption = Output.text) -> None:
    """How much is due by hour, and whether FCM takes the fullest minute in time. Reads the keeper's whole topic."""
    from pushcast.audit.timers import forecast_of
    from pushcast.kafka.switchboard import read_state

    settings = connect_by_user()
    due = forecast_of(settings, round(time.time() * 1000), paces=read_state(settings).paces)
    assert due is not None, "there is no limit"
    found = forecast.to_dict(due, fcm_quotas(settings.apps))
    if output is Output.json:
        print_json(found)
        return
    for row in found["hours"]:
        typer.echo(f"{row['at']}  {row['due']:>12,}")
    for line in forecast.lines(found):
        typer.echo(line)


def _event(value: bytes) -> object:
    """As it came, when it is JSON."""
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        return None
