"""`pushcast webhook list|resume`: endpoints that are told what became of deliveries."""

from __future__ import annotations

import time
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer

from pushcast.cli.audit import since_ms
from pushcast.cli.output import Output, OutputOption, counted, print_json, say
from pushcast.cli.session import connect
from pushcast.cli.signed import operator
from pushcast.config.settings import Settings
from pushcast.model.errors import ConfigurationError
from pushcast.wire import groups
from pushcast.wire.control.control import Kind, Name, WebhookOrder
from pushcast.wire.times import rfc3339

app = typer.Typer(name="webhook", help="Endpoints that are told what became of deliveries.")


@app.command("list")
def list_(output: OutputOption = Output.text) -> None:
    """List the endpoints of the configuration, and which are disabled and why."""
    from pushcast.kafka.switchboard import read_state

    settings = connect()
    orders = read_state(settings).webhooks
    rows = [_row(settings, name, orders.get(name)) for name in sorted(settings.webhooks)]
    if output is Output.json:
        print_json(rows)
        return
    for row in rows:
        why = f"since {row['since']}: {row['reason']}" if row["state"] == "disabled" else ""
        typer.echo(f"{row['name']}  {row['state']}  {row['host']}  {' '.join(row['events'])}  {why}".rstrip())
    say(counted(len(rows), "webhook"))


@app.command()
def resume(
    name: Annotated[str, typer.Argument(help="A key of `webhooks` in the configuration.")],
    since: Annotated[
        str | None,
        typer.Option("--from", help="Post again what was recorded since then: 10m, 2h, 1d ago or RFC 3339."),
    ] = None,
) -> None:
    """Post to an endpoint again: from where it stopped, or from an earlier time."""
    from pushcast.kafka.switchboard import write

    settings = connect()
    if name not in settings.webhooks:
        known = ", ".join(sorted(settings.webhooks)) or "none"
        raise ConfigurationError(f"there is no webhook {name!r} in the configuration; webhooks are: {known}")
    now = time.time()
    from_ms = None if since is None else since_ms(since, now)
    by = operator()
    write(settings, Name(Kind.WEBHOOK, name), WebhookOrder("on", int(now * 1000), from_ms, "", by))
    again = "" if from_ms is None else f", and gets again what was recorded since {rfc3339(from_ms)}"
    typer.echo(f"{name} is posted to{again}")


def _row(settings: Settings, name: str, order: WebhookOrder | None) -> dict[str, Any]:
    wanted = settings.webhooks[name]
    disabled = order is not None and order.state == "disabled"
    return {
        "name": name,
        "host": urlsplit(wanted.url).hostname,  # the rest may hold a secret
        "events": list(wanted.events),
        "group": groups.webhook(name),
        "state": "disabled" if disabled else "on",
        "since": None if order is None else rfc3339(order.at_ms),
        "reason": None if order is None else order.reason or None,
    }
