"""Which stages a role runs. Its spec is all that hosting, metrics, health and checks need to know of a stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from pushcast.config.settings import Settings
from pushcast.model.words import Lane, Platform
from pushcast.stream.spec import Specs, StageSpec

# Stages are imported by the processes that run them: engines cost half a second of CPU.


def _registrar(settings: Settings, lanes: Sequence[Lane], platforms: Sequence[Platform]) -> list[StageSpec]:
    from pushcast.own import stage as own
    from pushcast.register import stage as register

    return [spec for stage in (register, own) for spec in stage.specs(settings, lanes, platforms)]


def _planner(settings: Settings, lanes: Sequence[Lane], platforms: Sequence[Platform]) -> list[StageSpec]:
    from pushcast.plan import stage as plan
    from pushcast.walk import stage as walk

    return [spec for stage in (plan, walk) for spec in stage.specs(settings, lanes, platforms)]


def _sender(settings: Settings, lanes: Sequence[Lane], platforms: Sequence[Platform]) -> list[StageSpec]:
    from pushcast.send import stage

    return stage.specs(settings, lanes, platforms)


def _settler(settings: Settings, lanes: Sequence[Lane], platforms: Sequence[Platform]) -> list[StageSpec]:
    from pushcast.poll import stage as poll
    from pushcast.settle import stage as settle
    from pushcast.spread import stage as spread

    return [spec for stage in (settle, poll, spread) for spec in stage.specs(settings, lanes, platforms)]


def _keeper(settings: Settings, lanes: Sequence[Lane], platforms: Sequence[Platform]) -> list[StageSpec]:
    from pushcast.keep import stage

    return stage.specs(settings, lanes, platforms)


ROLES: Final[Mapping[str, Specs]] = {
    "registrar": _registrar,
    "planner": _planner,
    "sender": _sender,
    "settler": _settler,
    "keeper": _keeper,
}
