"""`/health`: every process and every consumer group."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pushcast.console.desk import Desk
from pushcast.console.visit import View, Visit


async def show(desk: Desk, visit: Visit) -> View:
    """GET /health."""
    processes, standing = await asyncio.gather(desk.watch.health(), desk.watch.standing())
    return View(
        "health.html", {"processes": processes, "standing": standing, "matrix": matrix(standing, desk.partitions)}
    )


class MatrixRow(NamedTuple):
    """A group in the matrix. `cells`: unfinished records of each partition, and a shade of 0 to 3 for how many."""

    group: str
    cells: Sequence[tuple[int, int]]


def matrix(standing: Mapping[str, Any] | None, partitions: int) -> list[MatrixRow]:
    """Where records wait: groups by partitions. Groups that have finished everything are left out."""
    if standing is None:
        return []
    rows = []
    for each in standing["groups"]:
        counts = [each["partitions"].get(str(number), 0) for number in range(partitions)]
        if any(counts):
            rows.append(MatrixRow(each["group"], [(count, _shade(count)) for count in counts]))
    return rows


def _shade(count: int) -> int:
    return sum(count >= least for least in (1, 100, 10_000))
