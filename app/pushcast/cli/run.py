"""`pushcast run ROLE… | all`: the roles of this process, or a supervisor with a process for each."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

import typer

from pushcast.config.settings import Settings, load
from pushcast.model.words import Lane, Platform


class ProcessRole(StrEnum):
    """What a process can be. `all` supervises a sensible set of processes on one machine."""

    all = "all"
    registrar = "registrar"
    planner = "planner"
    sender = "sender"
    settler = "settler"
    keeper = "keeper"
    gateway = "gateway"
    reporter = "reporter"
    console = "console"


#: Each has a process of its own.
DOORS: Final = frozenset({ProcessRole.gateway, ProcessRole.reporter, ProcessRole.console})


def run(
    roles: Annotated[list[ProcessRole], typer.Argument(help="Roles of this process, or all.")],
    platform: Annotated[list[Platform] | None, typer.Option(help="Senders: only these.", show_default="all")] = None,
    lane: Annotated[list[Lane] | None, typer.Option(help="Only these lanes.", show_default="all")] = None,
    slot: Annotated[
        str | None,
        typer.Option(
            help="Stable name of this process: a restart moves no partition, and its copy of the devices is kept."
        ),
    ] = None,
    since: Annotated[int | None, typer.Option(hidden=True, help="Start of the supervisor, ms since the epoch.")] = None,
    ready_fd: Annotated[int | None, typer.Option(hidden=True, help="Where to tell the supervisor.")] = None,
    one_process: Annotated[
        bool, typer.Option("--compact", help="all: in one process, for a laptop or a small container.")
    ] = False,
) -> None:
    """Run roles until SIGTERM or Ctrl-C. Work that Kafka has not acknowledged is taken up by the next start.

    Each process serves /metrics, /health/live, /health/ready and /_info on observe.host and observe.port (a free one
    unless configured: see the line `ready`). Exit 0: stopped; 2: refused; 65: flood guard; 70: unexpected.
    """
    settings = load()
    lanes = list(lane or Lane)
    platforms = list(platform or Platform)
    if one_process and ProcessRole.all not in roles:
        raise typer.BadParameter("--compact is for `run all`; several roles named together share a process anyway")
    if ProcessRole.all in roles:
        if roles != [ProcessRole.all]:
            raise typer.BadParameter("`all` stands alone")
        from pushcast.runtime.layout import compact, processes
        from pushcast.runtime.supervisor import supervise

        plans = (compact if one_process else processes)(settings, lanes, platforms)
        raise typer.Exit(supervise(settings, plans))
    if not DOORS.isdisjoint(roles):
        if len(roles) > 1:
            raise typer.BadParameter(
                f"{', '.join(sorted(DOORS))} have a process of their own: name no role beside them"
            )
        raise typer.Exit(_door(settings, roles[0], slot))
    from pushcast.runtime.process import run_roles

    raise typer.Exit(run_roles(settings, [role.value for role in roles], lanes, platforms, slot, since, ready_fd))


def _door(settings: Settings, role: ProcessRole, slot: str | None) -> int:
    if role is ProcessRole.gateway:
        from pushcast.runtime.gateway import run_gateway

        return run_gateway(settings)
    if role is ProcessRole.console:
        from pushcast.runtime.console import run_console

        return run_console(settings)
    from pushcast.runtime.reporter import run_reporter

    return run_reporter(settings, slot)
