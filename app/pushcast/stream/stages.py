"""Finds the stages: each folder of the package that has a `reads.py`. Nobody lists them anywhere else.

A `reads.py` says in which role and in which groups its stage reads which topics. Tools, tables of ACLs and the
metrics of groups ask for that, so it must import no engine: a house test holds it to the model and to wire/.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Final, NamedTuple

from pushcast.model.words import Platform
from pushcast.wire.groups import Reading

PACKAGE: Final = "pushcast"


class StageFolder(NamedTuple):
    """One stage, as its `reads.py` has it."""

    package: str  # dotted; `{package}.stage` is its spec
    role: str
    readings: Callable[[Iterable[Platform]], Sequence[Reading]]


@cache
def stages(package: str = PACKAGE) -> tuple[StageFolder, ...]:
    """Every stage in a package, by the name of its folder."""
    found = {path.parent.name for root in import_module(package).__path__ for path in Path(root).glob("*/reads.py")}
    return tuple(_declared(f"{package}.{name}") for name in sorted(found))


def _declared(package: str) -> StageFolder:
    reads = import_module(f"{package}.reads")
    return StageFolder(package, reads.ROLE, reads.readings)


def readings(platforms: Iterable[Platform] = tuple(Platform), package: str = PACKAGE) -> list[Reading]:
    """What every group reads, for these platforms. Stages that share a group are one entry."""
    kinds = list(platforms)
    found: dict[tuple[str, str], tuple[str, ...]] = {}
    for stage in stages(package):
        for role, group, topics in stage.readings(kinds):
            found[role, group] = found.get((role, group), ()) + topics
    return [Reading(role, group, topics) for (role, group), topics in found.items()]


def group_patterns(package: str = PACKAGE) -> dict[str, list[str]]:
    """By role its groups, as Kafka's prefixed ACLs have them: those of several lanes or platforms in one."""
    found: dict[str, list[str]] = {}
    for each in readings(package=package):
        stem, _, rest = each.group.removeprefix("pushcast-").partition("-")
        pattern = f"pushcast-{stem}-*" if rest else each.group
        names = found.setdefault(each.role, [])
        if pattern not in names:
            names.append(pattern)
    return found
