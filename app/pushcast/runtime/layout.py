"""Which processes `pushcast run all` starts on one machine. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pushcast.config.settings import Settings
from pushcast.model.roles import BY_LANE, DOORS, OF_PLATFORMS, ProcessRole
from pushcast.model.words import Lane, Platform

SLOT = "local"


@dataclass(frozen=True, slots=True)
class ProcessPlan:
    """One process of the supervisor."""

    name: str
    roles: tuple[str, ...]
    lanes: tuple[Lane, ...] = tuple(Lane)
    platforms: tuple[Platform, ...] = tuple(Platform)
    slot: str | None = None
    niceness: int = 0
    since_ms: int | None = None  # when its supervisor started, milliseconds since the epoch
    ready_fd: int | None = None  # a descriptor that gets the process's id, a line, when everything is ready

    @property
    def arguments(self) -> tuple[str, ...]:
        """After `pushcast run`, on a command line."""
        slot = () if self.slot is None else ("--slot", self.slot)
        lanes = tuple(part for lane in self.lanes for part in ("--lane", lane.value))
        return (*self.roles, *slot, *lanes, *(part for each in self.platforms for part in ("--platform", each.value)))


def processes(settings: Settings, lanes: Sequence[Lane], platforms: Sequence[Platform]) -> list[ProcessPlan]:
    """Planners and senders have a process per lane: an urgent record never waits behind another lane's work in its own.

    The roles that are not by lane share one process.
    """
    senders = _sent_to(settings, platforms)
    # Nothing waits for them within a second, so they share a process: each one more takes 40 MB.
    background = tuple(role for role in _stages(senders) if role not in BY_LANE)
    plans = [ProcessPlan("-".join(background), background, slot=SLOT, niceness=settings.niceness.background)]
    for lane in lanes:
        nice = settings.niceness.of(lane)
        plans.append(ProcessPlan(f"planner-{lane}", ("planner",), (lane,), slot=SLOT, niceness=nice))
        if senders:
            plans.append(ProcessPlan(f"sender-{lane}", ("sender",), (lane,), senders, SLOT, nice))
    return [*plans, *_doors(settings)]


def compact(settings: Settings, lanes: Sequence[Lane], platforms: Sequence[Platform]) -> list[ProcessPlan]:
    """One process for every stage, with the slots of `processes`: a machine may change between both.

    It takes a third of the memory. Lanes then share a loop and an OS priority, and an error that ends a role ends all.
    """
    senders = _sent_to(settings, platforms)
    roles = _stages(senders)
    plan = ProcessPlan("-".join(roles), roles, tuple(lanes), senders or tuple(Platform), SLOT)
    return [plan, *_doors(settings)]


def _stages(senders: Sequence[Platform]) -> tuple[ProcessRole, ...]:
    """The roles that run stages, where these platforms are sent to."""
    return tuple(role for role in ProcessRole if role not in DOORS and (senders or role not in OF_PLATFORMS))


def _doors(settings: Settings) -> list[ProcessPlan]:
    """Where the configuration has them: they take memory, and whoever has Kafka needs none."""
    plans = [] if settings.gateway is None else [ProcessPlan("gateway", ("gateway",))]
    if settings.console is not None:
        plans.append(ProcessPlan("console", ("console",), niceness=settings.niceness.background))
    if settings.reports is not None or settings.webhooks:
        plans.append(ProcessPlan("reporter", ("reporter",), slot=SLOT, niceness=settings.niceness.background))
    return plans


def _sent_to(settings: Settings, platforms: Sequence[Platform]) -> tuple[Platform, ...]:
    configured = {platform for app in settings.apps.values() for platform in app.platforms()}
    return tuple(platform for platform in platforms if platform in configured)
