"""`pushcast digest`: what is gathered for a user."""

from __future__ import annotations

import time
from typing import Annotated, Any

import orjson
import typer

from pushcast.cli.output import Output, OutputOption, print_json
from pushcast.cli.session import connect_by_user, require_app
from pushcast.wire import topics
from pushcast.wire.events.engagement import EngagementDecoder, Event

app = typer.Typer(name="digest", help="What is gathered for a user.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """A group, whatever the number of its commands."""


@app.command()
def flush(
    user: Annotated[str, typer.Option(help="User id.")],
    of_app: Annotated[str, typer.Option("--app", help="Digests of this app.")],
    class_: Annotated[str | None, typer.Option("--class", help="Of this class alone.")] = None,
    output: OutputOption = Output.text,
) -> None:
    """Let the digests of a user leave now that are open. What comes later opens the next one."""
    from pushcast.kafka.intake import IntakeProducer

    event: dict[str, Any] = {"event": Event.FLUSH.value, "app": of_app}
    if class_ is not None:
        event["class"] = class_
    value = orjson.dumps(event)
    EngagementDecoder().decode(user, value, round(time.time() * 1000))
    settings = connect_by_user()
    require_app(settings, of_app)
    with IntakeProducer(settings) as producer:
        producer.put(topics.ENGAGEMENT, user, value)
    if output is Output.json:
        print_json({"user": user, **event})
    else:
        typer.echo(f"told for {user}: the digests of {of_app} that are open leave")
