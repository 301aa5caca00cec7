"""`pushcast cancel`: notifications that must not leave any more."""

from __future__ import annotations

import time
from typing import Annotated

import orjson
import typer

from pushcast.cli.output import Output, OutputOption, print_json
from pushcast.cli.session import connect_by_user
from pushcast.wire.cancels import CancelDecoder


def cancel(
    ids: Annotated[list[str] | None, typer.Argument(metavar="ID...", help="Notification ids of one user.")] = None,
    user: Annotated[str | None, typer.Option(help="User id.")] = None,
    app: Annotated[str | None, typer.Option(help="App of the thread.")] = None,
    thread: Annotated[str | None, typer.Option(help="Everything of this thread created until now.")] = None,
    reason: Annotated[str | None, typer.Option(help="Why, for whoever looks at it later.")] = None,
    output: OutputOption = Output.text,
) -> None:
    """Cancel notifications of a user. What has not left ends as `cancelled`; what is at a provider ends as it says.

    An id that is not known yet is cancelled, too: it may still come. The cancel holds for 7 days.
    """
    from pushcast.kafka.intake import IntakeProducer
    from pushcast.wire import topics

    if user is None or not (ids or thread):
        raise typer.BadParameter("give --user, and IDs or --thread with --app")
    event = {"ids": ids or [], "app": app, "thread": thread, "reason": reason}
    value = orjson.dumps({name: given for name, given in event.items() if given})
    CancelDecoder().decode(user, value, round(time.time() * 1000))
    with IntakeProducer(connect_by_user()) as producer:
        producer.put(topics.CANCEL, user, value)
    if output is Output.json:
        print_json({"user": user, "ids": ids or [], "app": app, "thread": thread})
    else:
        typer.echo(f"cancelled for {user}: {', '.join(ids or [])}{f' thread {thread}' if thread else ''}".rstrip())
