"""`pushcast whatif`: events of before under another configuration."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pushcast.cli.audit import since_ms
from pushcast.cli.output import Output, OutputOption, counted, print_json, say
from pushcast.cli.session import connect_by_user
from pushcast.config.settings import CONFIG_VARIABLE, Settings, load
from pushcast.model.errors import ConfigurationError
from pushcast.wire.times import rfc3339

if TYPE_CHECKING:
    from pushcast.audit.rehearsed_walk import BroadcastFate
    from pushcast.audit.whatif import Comparison

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
    those of now. Broadcasts go to the devices of now by the orders that were written then, at their pace and with the
    holds and stops that Kafka still has; what is not rehearsed is told with its number.
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
    for line in lines_of_broadcasts(found):
        say(line)


def lines_of_broadcasts(found: Comparison) -> Iterator[str]:
    """Of broadcasts, and of what is not in the rehearsal."""
    for (lane, name), fates in islice(found.broadcasts.items(), SHOWN):
        old, new = (_words(fate) for fate in fates)
        yield f"broadcast {name} ({lane}): {old}" + ("" if old == new else f" -> {new}")
    if len(found.broadcasts) > SHOWN:
        yield f"and {counted(len(found.broadcasts) - SHOWN, 'broadcast')} more, with --output json"
    left_out: dict[str, list[int]] = {}
    for (_, why), devices in found.left_out.items():
        left_out.setdefault(why, []).append(devices)
    for word, each in left_out.items():
        of_them = f", {counted(sum(each), 'device')} of their audience" if sum(each) else ""
        yield f"not rehearsed: {counted(len(each), 'broadcast')} ({word}){of_them}"
    for topic, count in found.records_left_out.items():
        yield f"not rehearsed: {counted(count, 'record')} of {topic}, beyond --limit"
    if found.rows_left_out:
        yield f"not rehearsed: broadcasts to {counted(found.rows_left_out, 'device row')}, beyond --limit"


def _words(fate: BroadcastFate) -> str:
    parts = [f"{fate.sent:,} sent", *(f"{count:,} {end}" for end, count in sorted(fate.ends.items()))]
    parts += [f"{fate.held_out:,} held out"] if fate.held_out else []
    waited = [f"{count:,} for {reason}" for reason, count in sorted(fate.waits.items())]
    parts += [f"within {fate.lasted_seconds:,.0f} s"] if fate.lasted_seconds else []
    return ", ".join(parts) + (f"; users that waited: {', '.join(waited)}" if waited else "")


def _of(file: Path) -> Settings:
    """That configuration, with the environment of this process. Raises ConfigurationError."""
    if not file.is_file():
        raise ConfigurationError(f"{file} is not a file")
    known = os.environ.get(CONFIG_VARIABLE)
    os.environ[CONFIG_VARIABLE] = str(file)
    try:
        return load()
    finally:
        if known is None:
            del os.environ[CONFIG_VARIABLE]
        else:
            os.environ[CONFIG_VARIABLE] = known
