"""Which processes `pushcast run all` starts on one machine. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pushcast.config.settings import Settings
from pushcast.model.words import Lane, Platform

#: Urgent work comes first, bulk work takes what the others leave. The processes of one supervisor stay in its session:
#: kernels that group processes by session (sched_autogroup) weigh niceness within one only.
NICENESS = {Lane.URGENT: 0, Lane.NORMAL: 5, Lane.BULK: 10}
#: Of what no push waits for: registrations, retries, parked work.
BACKGROUND_NICENESS = 5


@dataclass(frozen=True, slots=True)
class ProcessPlan:
    """One process of the supervisor."""

    name: str
    arguments: tuple[str, ...]  # after `pushcast run`
    niceness: int = 0


def processes(settings: Settings, lanes: Sequence[Lane], platforms: Sequence[Platform]) -> list[ProcessPlan]:
    """A process per role and lane: an urgent record never waits behind another lane's work in its own process."""
    configured = {platform for app in settings.apps.values() for platform in app.platforms()}
    senders = [platform for platform in platforms if platform in configured]
    plans = [ProcessPlan("registrar", ("registrar", "--slot", "local"), BACKGROUND_NICENESS)]
    if senders:
        plans.append(ProcessPlan("settler", ("settler", "--slot", "local"), BACKGROUND_NICENESS))
    for lane in lanes:
        nice = NICENESS[lane]
        common = ("--lane", lane.value, "--slot", "local")
        plans.append(ProcessPlan(f"planner-{lane}", ("planner", *common), nice))
        if senders:
            chosen = tuple(part for platform in senders for part in ("--platform", platform.value))
            plans.append(ProcessPlan(f"sender-{lane}", ("sender", *common, *chosen), nice))
    return plans
