"""Which stages a role runs: those whose folders say so (`stream.stages`). Lists no stage itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from importlib import import_module
from typing import Final

from pushcast.config.settings import Settings
from pushcast.model.words import Lane, Platform
from pushcast.stream.spec import Specs, StageSpec
from pushcast.stream.stages import PACKAGE, stages


def roles_of(package: str = PACKAGE) -> dict[str, Specs]:
    """By role the specs of its stages. A stage is imported when its specs are asked for: engines cost half a second of
    CPU, and a process runs few of them."""
    packages: dict[str, list[str]] = {}
    for stage in stages(package):
        packages.setdefault(stage.role, []).append(stage.package)
    return {role: partial(_specs, names) for role, names in packages.items()}


def _specs(
    packages: Sequence[str], settings: Settings, lanes: Sequence[Lane], platforms: Sequence[Platform]
) -> list[StageSpec]:
    found: list[StageSpec] = []
    for name in packages:
        specs: Specs = import_module(f"{name}.stage").specs
        found += specs(settings, lanes, platforms)
    return found


ROLES: Final[Mapping[str, Specs]] = roles_of()
