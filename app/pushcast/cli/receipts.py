"""`pushcast receipts`: what became of deliveries, for programs that read no Avro."""

from __future__ import annotations

import sys
import time
from enum import StrEnum
from typing import Annotated

import typer

from pushcast.cli.audit import since_ms
from pushcast.cli.output import counted, say
from pushcast.cli.session import connect_by_user


class Format(StrEnum):
    """Form of standard output."""

    jsonl = "jsonl"
    csv = "csv"
    parquet = "parquet"


def receipts(
    since: Annotated[
        str | None, typer.Option(help="Only those written since: 10m, 2h, 1d ago or RFC 3339.", show_default="all")
    ] = None,
    user: Annotated[str | None, typer.Option(help="Only this user's; reads one partition.")] = None,
    output: Annotated[Format, typer.Option(help="Form of standard output.")] = Format.jsonl,
) -> None:
    """Write receipts to standard output, each once: without fences, void records and copies (docs/reading.md)."""
    from pushcast.audit.receipts import receipts as read
    from pushcast.cli.receipt_files import WRITERS

    write = WRITERS[output.value]
    if output is Format.parquet and sys.stdout.isatty():
        raise typer.BadParameter("parquet is no text: send it to a file", param_hint="--output")
    settings = connect_by_user()
    start = None if since is None else since_ms(since, time.time())
    written = write(read(settings, start, user), sys.stdout.buffer)
    say(counted(written, "receipt"))
