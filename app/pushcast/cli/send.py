"""`pushcast send`: write notifications, and follow them to their receipts."""

from __future__ import annotations

import sys
import time
import uuid
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from pushcast.cli.output import Output, OutputOption, print_json, say
from pushcast.config.settings import Settings, load
from pushcast.model.errors import PushcastError
from pushcast.model.words import Lane


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
    output: OutputOption = Output.text,
) -> None:
    """Write notifications; with --wait, exit 1 unless every delivery was accepted."""
    from pushcast.kafka.intake import IntakeProducer, lines_of
    from pushcast.wire import topics

    settings = load()
    if file is None:
        if user is None or not (title or body):
            raise typer.BadParameter("give --user and --title or --body, or a FILE")
        event: dict[str, Any] = {"id": str(uuid.uuid4()), "user": user, "app": app, "title": title, "body": body}
        event |= {"class": klass, "options": {"dry_run": True} if dry_run else None}
        lines = iter([(1, orjson.dumps({k: v for k, v in event.items() if v is not None}))])
    else:
        lines = lines_of(sys.stdin.buffer if str(file) == "-" else file)
    started_ms = round(time.time() * 1000)
    written: list[tuple[str, str]] = []
    refused = 0
    with IntakeProducer(settings) as producer:
        for number, line in lines:
            try:
                topic = topics.notification(lane or _lane(settings, line, klass))
                written.append(producer.put_json(topic, line))
            except PushcastError as error:
                refused += 1
                say(f"line {number}: {error}")
    result: dict[str, Any] = {"ids": [note for _, note in written], "refused": refused}
    failed = refused > 0
    if wait and written:
        result["receipts"] = _follow(settings, written, started_ms, timeout_seconds)
        outcomes = [receipt["outcome"] for receipt in result["receipts"]]
        failed = failed or not outcomes or any(outcome != "accepted" for outcome in outcomes)
    if output is Output.json:
        print_json(result)
    else:
        typer.echo("\n".join(result["ids"]))
        for receipt in result.get("receipts", []):
            typer.echo(f"  {receipt['platform']} {receipt['device']}: {receipt['outcome']} {receipt['reason'] or ''}")
    if failed:
        raise typer.Exit(1)


def _lane(settings: Settings, line: bytes, klass: str | None) -> Lane:
    try:
        name = klass or orjson.loads(line).get("class") or "default"
    except (orjson.JSONDecodeError, AttributeError):
        return Lane.NORMAL
    rule = settings.classes.get(name)
    return Lane.NORMAL if rule is None else rule.lane


def _follow(
    settings: Settings, written: list[tuple[str, str]], started_ms: int, timeout_seconds: float
) -> list[dict[str, Any]]:
    from pushcast.audit.follow import follow

    done, receipts = follow(settings, set(written), started_ms, timeout_seconds)
    if not done:
        say(f"not finished within {timeout_seconds:.0f} s; `pushcast audit` tells where it is")
    return receipts
