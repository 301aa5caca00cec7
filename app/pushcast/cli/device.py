"""`pushcast device import|show`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from pushcast.cli.output import Output, OutputOption, print_json, say
from pushcast.config.settings import load
from pushcast.model.errors import PushcastError

app = typer.Typer(name="device", help="Devices of users.", no_args_is_help=True)


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="Lines of JSON, each a DeviceChange plus `user`; - reads stdin.")],
    output: OutputOption = Output.text,
) -> None:
    """Write device changes; returns when Kafka has all of them. Exit 1 when a line was refused."""
    from pushcast.kafka.intake import IntakeProducer, lines_of
    from pushcast.wire import topics

    settings = load()
    sent, refused = 0, 0
    with IntakeProducer(settings) as producer:
        for number, line in lines_of(sys.stdin.buffer if str(file) == "-" else file):
            try:
                producer.put_json(topics.DEVICE_CHANGED, line)
                sent += 1
            except PushcastError as error:
                refused += 1
                say(f"line {number}: {error}")
    if output is Output.json:
        print_json({"sent": sent, "refused": refused})
    else:
        typer.echo(f"{sent} sent, {refused} refused")
    if refused:
        raise typer.Exit(1)


@app.command()
def show(user: str, output: OutputOption = Output.text) -> None:
    """The user's devices, read from the compacted topic. Tokens are shown by their hash only."""
    from pushcast.kafka.intake import rows_of_user
    from pushcast.wire.times import rfc3339

    rows: list[dict[str, Any]] = rows_of_user(load(), user)
    for row in rows:
        row.pop("address")
        row["token_hash"] = row["token_hash"].hex()
        for name in ("registered_at", "seen_at", "suspended_at"):
            row[name] = None if row[name] is None else rfc3339(row[name])
    if output is Output.json:
        print_json(rows)
    else:
        for row in rows:
            typer.echo(orjson.dumps(row, option=orjson.OPT_INDENT_2).decode())
        say(f"{len(rows)} devices")
    if not rows:
        raise typer.Exit(1)
