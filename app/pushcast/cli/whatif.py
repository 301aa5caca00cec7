"""`pushcast whatif`: events of before under another configuration."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Annotated

import typer

from pushcast.cli.audit import since_ms
from pushcast.cli.output import Output, OutputOption, counted, print_json, say
from pushcast.cli.session import connect_by_user
from pushcast.config.settings import CONFIG_VARIABLE, Settings, load
from pushcast.wire.times import rfc3339

SHOWN = 20


def whatif(
    configuration: Annotated[Path, typer.Argument(help="The other pushcast.yaml.")],
    since: Annotated[str, typer.Option(help="Events since then: 10m, 2h, 7d or RFC 3339.")] = "7d",
    user: Annotated[str | None, typer.Option(help="Only this user's; reads one partition.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many records of each topic and partition.")] = 100_000,
    output: OutputOption = Output.text,
) -> None:
    """Run past events through planner and keeper under another configuration, and tell who would have got what.

    Nothing is written and nothing is sent: every provider is taken to accept everything. Devices and preferences are
    those of now.
    """
    from pushcast.audit.whatif import whatif as ask

    before, start = connect_by_user(), since_ms(since, time.time())
    after = _of(configuration)
    found = ask(before, after, start, user=user, limit=limit)
    if output is Output.json:
        print_json(found.to_dict())
        return
    typer.echo(f"{'events':>10}  before -> after")
    for (old, new), count in found.fates.most_common():
        typer.echo(f"{count:>10,}  {old}" + ("" if old == new else f" -> {new}"))
    for row in found.changed[:SHOWN]:
        left = " to ".join(
            "never" if at is None else rfc3339(at) for at in (row["left_at_before"], row["left_at_after"])
        )
        typer.echo(f"{row['user']}  {row['notification']}  {row['before']} -> {row['after']}  left: {left}")
    say(
        f"{counted(found.events, 'event')}, {counted(found.sent_before, 'delivery')} before and "
        f"{found.sent_after:,} after, {found.later:,} with the same fate at another time; "
        f"{counted(found.digests_before, 'digest')} before and {found.digests_after:,} after"
    )


def _of(file: Path) -> Settings:
    """That configuration, with the environment of this process. Raises ConfigurationError."""
    known = os.environ.get(CONFIG_VARIABLE)
    os.environ[CONFIG_VARIABLE] = str(file)
    try:
        return load()
    finally:
        if known is None:
            del os.environ[CONFIG_VARIABLE]
        else:
            os.environ[CONFIG_VARIABLE] = known
