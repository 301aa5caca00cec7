"""`/`: what is going on, and what needs somebody."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from pushcast.console.desk import Desk
from pushcast.console.figures import STEP_SECONDS, SpeedStep, oldest_of
from pushcast.console.pages.reports import with_bar
from pushcast.console.plots import Plot, rates, speeds
from pushcast.console.visit import View, Visit
from pushcast.console.words import clock, duration, number
from pushcast.gateway.problems import Problem
from pushcast.model.plural import counted
from pushcast.model.words import Lane, Platform
from pushcast.wire.control.control import CanaryWord

#: The way of a notification; groups of a stage begin with its prefix.
STAGES: Final = (
    ("Register", "pushcast-register", "keeps the devices"),
    ("Plan", "pushcast-plan", "finds the devices of each notification"),
    ("Keep", "pushcast-keep", "holds what is not yet due"),
    ("Send", "pushcast-send", "hands batches to the providers"),
    ("Settle", "pushcast-settle", "tries again, parks, gives up"),
)
RECENT: Final = 6


class Need(NamedTuple):
    """What somebody should look at. `link`: the page where it is mended. `grave`: something stands still."""

    what: str
    remedy: str
    link: str
    grave: bool = False


class StageBox(NamedTuple):
    """One box of the strip. `members`: processes in its groups."""

    name: str
    does: str
    groups: int
    members: int
    lag: int
    oldest_at: str | None


async def show(desk: Desk, visit: Visit) -> View:
    """GET /."""
    standing, recent, pauses = await asyncio.gather(
        desk.watch.standing(), _recent(desk, visit), desk.api.ask("pauses", visit.caller)
    )
    watch = desk.watch
    ends = [clock(at) for at in watch.rates.ends()]
    found = stages(standing)
    canaries = sorted(desk.control.canaries.items())
    return View(
        "now.html",
        {
            "needs": [*lost(canaries), *needs(standing, pauses, watch.figures)],
            "known": standing is not None,
            "stages": found,
            "parked": 0 if standing is None else standing["parked"],
            "rates": rates(ends, watch.rates.series(), STEP_SECONDS) if len(ends) > 1 else None,
            "speed": watch.rates.urgent(),
            "speeds": _speeds(watch.rates.speeds()),
            "canaries": canaries,
            "urgent_seconds": oldest_of(watch.figures.values(), Lane.URGENT),
            "processes": len(watch.figures),
            "recent": recent,
            "pauses": pauses,
        },
    )


def _speeds(steps: Sequence[SpeedStep]) -> Plot | None:
    half = [None if each.speed is None else each.speed.half for each in steps]
    most = [None if each.speed is None else each.speed.most for each in steps]
    return speeds([clock(each.at_ms) for each in steps], half, most)


async def _recent(desk: Desk, visit: Visit) -> Sequence[Mapping[str, Any]]:
    try:
        found = await desk.api.ask("reports", visit.caller, query={"limit": str(RECENT), "dry_run": "true"})
    except Problem:
        return []
    return [with_bar(each) for each in found["reports"]]


def stages(standing: Mapping[str, Any] | None) -> list[StageBox]:
    """Sums of the groups of each stage."""
    found = []
    for name, prefix, does in STAGES:
        rows = [] if standing is None else [row for row in standing["groups"] if row["group"].startswith(prefix)]
        oldest = min((row["oldest_at"] for row in rows if row["oldest_at"] is not None), default=None)
        members, lag = sum(row["members"] for row in rows), sum(row["lag"] for row in rows)
        found.append(StageBox(name, does, len(rows), members, lag, oldest))
    return found


def lost(canaries: Iterable[tuple[tuple[str, Platform], CanaryWord]]) -> Iterable[Need]:
    """Canaries that have failed."""
    for (app, platform), word in canaries:
        if word.state == "failed":
            what = "is silent" if word.reason == "silent" else f"failed: {word.reason.replace('_', ' ')}"
            remedy = "Perhaps nothing reaches this provider. See how far the canary's last push came."
            yield Need(
                f"The canary of {app} on {platform} {what}.", remedy, f"/people?user=canary:{app}:{platform}", True
            )


def needs(standing: Mapping[str, Any] | None, pauses: Mapping[str, Any], figures: Mapping[str, Any]) -> Iterable[Need]:
    """In the order in which they should be looked at."""
    if standing is None:
        yield Need(
            "Kafka does not answer.",
            "Look after the brokers; nothing is lost meanwhile, and nothing leaves.",
            "/health",
            True,
        )
        return
    for row in standing["groups"]:
        if row["lag"] and not row["members"]:
            role = row["group"].removeprefix("pushcast-")
            yield Need(
                f"{counted(row['lag'], 'record')} wait for {role}, and no process of it runs.",
                "Start one with pushcast run, or look why it ended.",
                "/health",
                True,
            )
    for each in pauses["open_breakers"]:
        yield Need(
            f"The provider {each['platform']} fails for {each['app']}: {each['reason'].replace('_', ' ')}.",
            "Its work is kept aside until the provider answers again. A credential that was refused has to be mended.",
            "/control",
            True,
        )
    for each in pauses["pauses"]:
        lane = "" if each["lane"] is None else f", lane {each['lane']}"
        yield Need(
            f"Pushes of {each['app']} to {each['platform']}{lane} are paused.",
            each["comment"] or "No reason was given.",
            "/control",
        )
    for each in standing["open_transactions"]:
        yield Need(
            f"{each['topic']}[{each['partition']}] waits for a producer's open transaction.",
            "End that producer, or abort its transaction.",
            "/health",
        )
    dead = sum(standing["dead_letters_last_hour"].values())
    if dead:
        yield Need(
            f"{counted(dead, 'dead letter')} in the last hour.", "See why, mend, and send them again.", "/dead-letters"
        )
    urgent = oldest_of(figures.values(), Lane.URGENT)
    if urgent is not None and urgent > 10:
        yield Need(
            f"An urgent record waits for {duration(urgent)}.", "Start more senders, or see the breakers.", "/health"
        )
    if standing["parked"]:
        yield Need(
            f"{number(standing['parked'])} records are parked.",
            "They leave when their pause or breaker ends.",
            "/control",
        )
