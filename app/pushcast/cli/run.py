"""`pushcast run ROLE… | all`: the roles of this process, or a supervisor with a process for each."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from pushcast.config.again import loaded
from pushcast.model.roles import DOORS, ProcessRole
from pushcast.model.words import Lane, Platform

#: Supervises a sensible set of processes on one machine.
ALL: Final = "all"
RUNNABLE: Final = (ALL, *ProcessRole)


def _runnable(name: str) -> str:
    if name not in RUNNABLE:
        raise typer.BadParameter(f"{name!r} is not one of {', '.join(map(repr, map(str, RUNNABLE)))}.")
    return name


def run(
    roles: Annotated[
        list[str],
        typer.Argument(
            parser=_runnable,
            metavar="ROLE",
            autocompletion=lambda: list(RUNNABLE),
            help=f"Roles of this process: {', '.join(ProcessRole)}; or all.",
        ),
    ],
    platform: Annotated[list[Platform] | None, typer.Option(help="Senders: only these.", show_default="all")] = None,
    lane: Annotated[list[Lane] | None, typer.Option(help="Only these lanes.", show_default="all")] = None,
    slot: Annotated[
        str | None,
        typer.Option(
            help="Stable name of this process: a restart moves no partition, and its copy of the devices is kept."
        ),
    ] = None,
    one_process: Annotated[
        bool, typer.Option("--compact", help="all: in one process, for a laptop or a small container.")
    ] = False,
) -> None:
    """Run roles until SIGTERM or Ctrl-C. Work that Kafka has not acknowledged is taken up by the next start.

    Each process serves /metrics, /health/live, /health/ready and /_info on observe.host and observe.port (a free one
    unless configured: see the line `ready`). Exit 0: stopped; 2: refused; 65: flood guard; 70: unexpected.
    """
    found = loaded()
    settings = found.settings
    lanes = list(lane or Lane)
    platforms = list(platform or Platform)
    if one_process and ALL not in roles:
        raise typer.BadParameter("--compact is for `run all`; several roles named together share a process anyway")
    if ALL in roles:
        if roles != [ALL]:
            raise typer.BadParameter("`all` stands alone")
        from pushcast.runtime.layout import compact, processes
        from pushcast.runtime.supervisor import supervise

        plans = (compact if one_process else processes)(settings, lanes, platforms)
        raise typer.Exit(supervise(settings, plans, found.again))
    from pushcast.runtime import start
    from pushcast.runtime.layout import ProcessPlan

    names = tuple(roles)
    if not DOORS.isdisjoint(names) and len(names) > 1:
        doors = ", ".join(sorted(DOORS))
        raise typer.BadParameter(f"{doors} have a process of their own: name no role beside them")
    raise typer.Exit(start.run(settings, ProcessPlan("-".join(names), names, tuple(lanes), tuple(platforms), slot)))
