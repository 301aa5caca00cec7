"""`pushcast audit`: does everything that was planned have an end?"""

from __future__ import annotations

import re
import time
from datetime import datetime
from typing import Annotated, Any

import typer

from pushcast.cli.output import Output, OutputOption, counted, print_json, say
from pushcast.cli.session import connect_by_user

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def since_ms(text: str, now_seconds: float) -> int:
    """`10m`, `2h` … before now, or RFC 3339. Raises typer.BadParameter."""
    if match := re.fullmatch(r"(\d+)([smhd])", text):
        return round((now_seconds - int(match[1]) * _UNITS[match[2]]) * 1000)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is neither like 10m, 2h, 1d nor RFC 3339") from None
    if moment.tzinfo is None:
        raise typer.BadParameter(f"{text!r} has no time zone (write Z or +00:00)")
    return round(moment.timestamp() * 1000)


def audit(
    since: Annotated[str | None, typer.Option(help="Only notifications since then: 10m, 2h, 1d or RFC 3339.")] = None,
    output: OutputOption = Output.text,
) -> None:
    """Compare what was planned with the receipts. Exit 1 when anything is unaccounted, or a timer is lost.

    Events that became dead letters are counted apart: nothing was planned for them.
    """
    from pushcast.audit.reader import Books
    from pushcast.audit.timers import timer_totals

    settings = connect_by_user()
    start = None if since is None else since_ms(since, time.time())
    with Books(settings) as books:
        totals = books.reckon(start, lambda partition: say(f"partition {partition} of {settings.kafka.partitions}"))
        books.name_members(totals.unbalanced)
    waiting = timer_totals(settings, round(time.time() * 1000))
    result = totals.to_dict() | {"timers": waiting.to_dict()}
    if output is Output.json:
        print_json(result)
    else:
        for key, value in result.items():
            if key not in {"unbalanced", "dead_letters_by_reason", "timers"}:
                typer.echo(f"{key:20} {value}")
        for key, value in waiting.to_dict().items():
            if key != "unbalanced":
                typer.echo(f"{f'timers {key}':20} {value}")
        for problem in waiting.unbalanced:
            typer.echo(f"  {problem}")
        for row in result["dead_letters_by_reason"]:
            typer.echo(f"  {row['topic']}: {counted(row['letters'], 'letter')}, {row['reason']}")
        for row in totals.unbalanced:
            typer.echo(
                f"  {row['lane']}/{row['source']}/{row['partition']}@{row['offset']} {row['notification']}: "
                f"planned {row['planned']}, ended {row['terminal']} ({_place(row)})"
            )
    if not (totals.balanced and waiting.balanced):
        raise typer.Exit(1)


def _place(row: dict[str, Any]) -> str:
    """`lag in push.send.fcm.normal.v1, no member`, and what Kafka refused the sender that it waits for."""
    if row["topic"] is None:
        return str(row["where"])
    waits = f"{row['where']} in {row['topic']}" + ("" if row["members"] else ", no member")
    if row["refused"]:
        waits += f"; Kafka refused its sender {', '.join(row['refused'])}"
    return waits
