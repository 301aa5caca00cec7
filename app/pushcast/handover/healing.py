"""Overwrites what fenced-off owners still write into the topic of a stage's own table.

The table keeps such a row out. It is overwritten at once with what the table says, so that the log heals for those who
do not look at fences: planners, and copies that are rebuilt after compaction.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from functools import partial
from typing import Generic, Protocol, TypeVar

from pushcast.handover.table_claims import TableClaims
from pushcast.stream.ports import Fatal
from pushcast.stream.runner import Runner
from pushcast.stream.table import Table

#: Void rows that are overwritten without giving way to the event loop.
CHUNK_ROWS = 500

logger = logging.getLogger(__name__)


class Healed(Protocol):
    """What the healing needs of a tenure."""

    number: int  # of the partition
    healed: dict[bytes, int]  # offsets of void rows that were overwritten, by key


T = TypeVar("T", bound=Healed)
#: Puts what is known of these keys, and calls back when Kafka has it: (tenure, key -> offset of the void record).
Overwrite = Callable[[T, Mapping[bytes, int]], None]


def left_to_heal(tenure: Healed, void: Mapping[bytes, int]) -> dict[bytes, int]:
    """Of the table's void rows, offset by key, those that are not overwritten yet. What the table has seen overwritten
    is forgotten."""
    if len(tenure.healed) > len(void):
        tenure.healed = {key: at for key, at in tenure.healed.items() if key in void}
    healed = tenure.healed
    return {key: offset for key, offset in void.items() if healed.get(key) != offset}


class Healing(Generic[T]):
    """Of all partitions of one stage. It belongs to the event loop.

    Heals while our fence is the newest: a fenced-off owner would overwrite good rows with its stale ones.
    """

    def __init__(
        self,
        table: Table,
        claims: TableClaims,
        counters: MutableMapping[tuple[str, str], int],
        *,
        room: Callable[[], Awaitable[None]],
        overwrite: Overwrite[T],
        fatal: Fatal,
    ) -> None:
        """`room` is awaited before every call of `overwrite`."""
        self._table = table
        self._claims = claims
        self._counters = counters
        self._room = room
        self._overwrite = overwrite
        self._fatal = fatal

    def runner_of(self, tenure: T) -> Runner:
        """Runs while there are void rows of a partition that are not overwritten; wake it when some are found."""
        what = f"void rows of partition {tenure.number}"
        return Runner(what, partial(self._wait, tenure), partial(self._overwrite_all, tenure), self._fatal)

    def _wait(self, tenure: T) -> float | None:
        return 0.0 if self._unhealed(tenure) else None

    def _unhealed(self, tenure: T) -> dict[bytes, int]:
        if not self._claims.is_last(tenure.number):
            return {}
        return left_to_heal(tenure, self._table.void(tenure.number))

    async def _overwrite_all(self, tenure: T) -> None:
        while unhealed := self._unhealed(tenure):
            logger.warning("%d void rows in partition %d are overwritten", len(unhealed), tenure.number)
            keys = list(unhealed)
            for start in range(0, len(keys), CHUNK_ROWS):
                await self._room()
                # Nothing is awaited from here on. What was overwritten meanwhile is left as it is.
                if not self._claims.is_last(tenure.number):
                    return
                void = self._table.void(tenure.number)
                chosen = {key: void[key] for key in keys[start : start + CHUNK_ROWS] if key in void}
                self._overwrite(tenure, chosen)
                tenure.healed.update(chosen)
                self._counters["void_rows", "healed"] = self._counters.get(("void_rows", "healed"), 0) + len(chosen)
