"""`pushcast status`: how every group stands, what is paused, broken, parked and dead."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator
from typing import Annotated, Any, Final

import typer

from pushcast.cli import forecast
from pushcast.cli.output import Output, OutputOption, counted, print_json
from pushcast.cli.pause import in_force, lines_in_force
from pushcast.cli.session import connect
from pushcast.config.rates import fcm_quotas
from pushcast.config.settings import Settings
from pushcast.model.words import Lane
from pushcast.wire import groups

#: Session timeouts: who runs says so once in each.
_OLDER_TOLD_WITHIN: Final = 3


def status(
    watch: Annotated[bool, typer.Option("--watch", help="Again and again, until Ctrl-C.")] = False,
    every_seconds: Annotated[float, typer.Option(min=0.5, help="With --watch: time between two looks.")] = 2.0,
    output: OutputOption = Output.text,
) -> None:
    """Show lag, members and oldest record of each group, then what is paused, broken, parked and dead."""
    settings = connect()
    while True:
        found = look(settings)
        if output is Output.json:
            print_json(found)
        else:
            clear = "\x1b[2J\x1b[H" if watch and sys.stdout.isatty() else ""
            typer.echo(clear + "\n".join(page(found)))
        if not watch:
            return
        time.sleep(every_seconds)


def look(settings: Settings) -> dict[str, Any]:
    """All of it, for JSON. Blocks."""
    from pushcast.audit.timers import forecast_of
    from pushcast.kafka.switchboard import read_state
    from pushcast.runtime.standing import standing

    control = read_state(settings)
    pauses, breakers = in_force(control)
    due = forecast_of(settings, round(time.time() * 1000), forecast.MOST_RECORDS, control.paces)
    cancelled = [
        {"campaign": name, "by": each.by, "comment": each.comment} for name, each in sorted(control.campaigns.items())
    ]
    stands = standing(settings)
    told = None if due is None else forecast.to_dict(due, fcm_quotas(settings.apps))
    return {
        **stands,
        "pauses": pauses,
        "open_breakers": breakers,
        "cancelled_campaigns": cancelled,
        "forecast": told,
        "waiting_without_keeper": without_keeper(stands, told),
        "older_releases": older_releases(settings),
    }


def older_releases(settings: Settings) -> list[dict[str, Any]]:
    """Processes with a slot that said lately that they are of an older release than this command. Blocks."""
    from pushcast.handover.reading import SpanReader, TailUnreadable
    from pushcast.runtime.older import OlderReleases, read_before_planners

    kafka = settings.kafka
    since_ms = round((time.time() - _OLDER_TOLD_WITHIN * kafka.session_timeout_seconds) * 1000)
    reader = SpanReader(kafka.bootstrap_servers, kafka.security)
    try:
        told = asyncio.run(OlderReleases(reader).told({*read_before_planners(Lane), groups.KEEP}, since_ms))
    except (TimeoutError, TailUnreadable) as error:
        typer.echo(f"which releases run is not known: {error}", err=True)
        return []
    return [{"group": each.group, "slot": each.slot, "host": each.where.host, "pid": each.where.pid} for each in told]


def without_keeper(stands: dict[str, Any], told: dict[str, Any] | None) -> int:
    """What waits for a keeper while none runs."""
    runs = any(row["group"] == groups.KEEP and row["members"] for row in stands["groups"])
    return 0 if runs else forecast.waiting(told)


def page(found: dict[str, Any]) -> Iterator[str]:
    """Lines for people."""
    width = max((len(row["group"]) for row in found["groups"]), default=5)
    yield f"{'group':{width}}  members  state     {'lag':>10}  oldest record"
    for row in found["groups"]:
        oldest = row["oldest_at"] or "-"
        yield f"{row['group']:{width}}  {row['members']:>7}  {row['state']:8}  {row['lag']:>10,}  {oldest}"
        if row["lag"] and not row["members"]:
            yield from (
                f"  {topic}: {counted(records, 'record')}, no member" for topic, records in row["topics"].items()
            )
        for topic, partitions in row["partitions_without_offset"].items():
            without = f"{counted(partitions, 'partition')} without an offset"
            yield f"  {topic}: {without}: the group is new, or its offsets were deleted"
    yield from (
        f"{row['topic']}[{row['partition']}] waits for the end of a transaction that is open since {row['since']}"
        for row in found["open_transactions"]
    )
    yield from lines_in_force(found["pauses"], found["open_breakers"])
    yield f"{len(found['pauses'])} paused, {counted(len(found['open_breakers']), 'breaker')} open"
    for row in found["cancelled_campaigns"]:
        comment = f": {row['comment']}" if row["comment"] else ""
        yield f"campaign {row['campaign']} is cancelled by {row['by']}{comment}"
    yield from forecast.lines(found["forecast"])
    if found["waiting_without_keeper"]:
        waiting = counted(found["waiting_without_keeper"], "notification")
        yield f"{waiting} wait and no keeper runs: nothing of it leaves until `pushcast run keeper` does"
    for row in found["older_releases"]:
        where = f"pid {row['pid']} on host {row['host']} (slot {row['slot']})"
        yield f"{row['group']}: {where} is of an older release: no planner of this one starts beside it"
    yield f"{counted(found['parked'], 'record')} parked"
    for place, fingerprint in found["of_a_later_release"].items():
        yield f"{place} has schema {fingerprint}, which this release does not know: whoever reads it waits"
    letters = found["dead_letters_last_hour"]
    yield f"{counted(sum(letters.values()), 'dead letter')} of the last hour"
    yield from (f"  {topic}: {count:,}" for topic, count in letters.items())
