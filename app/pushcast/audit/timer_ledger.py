"""The ledger of what waits: every keep record is waiting, released once, or not yet read. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pushcast.wire.waiting.timers import OVERDUE_MS, Timer


class Named(NamedTuple):
    """A timer: its partition, and the keep record that opened it, `lane|offset`."""

    partition: int
    name: str


@dataclass(slots=True)
class TimerTotals:
    """`held`: keep records. Of these, `released` to be sent, `closed_early` (cancelled, duplicate, …), `waiting`, of
    which `overdue`; `unread` by the keeper. `twice`: with more than one due record; `lost`: with none, and no row."""

    held: int = 0
    released: int = 0
    closed_early: int = 0
    waiting: int = 0
    overdue: int = 0
    unread: int = 0
    twice: int = 0
    lost: int = 0
    unbalanced: list[str] = field(default_factory=list)  # at most 100, in words

    @property
    def balanced(self) -> bool:
        """Nothing is lost, and nothing was released twice."""
        return not (self.twice or self.lost)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {name: getattr(self, name) for name in self.__slots__}


def settle(
    held: Mapping[Named, int],
    due: Mapping[Named, Counter[str]],
    rows: Mapping[Named, Timer],
    committed: Mapping[tuple[str, int], int],
    now_ms: int,
) -> TimerTotals:
    """`held`: the offset of each keep record. `due`: of each timer its due records, by why they end (empty: they do
    not). `rows`: read before `due`, so that what was released in between is not missed. `committed`: by lane and
    partition."""
    totals = TimerTotals(held=len(held))
    for named, offset in held.items():
        lane = named.name.partition("|")[0]
        ends, row = due.get(named, Counter()), rows.get(named)
        if ends.total() > 1:
            totals.twice += 1
            _list(totals, named, f"released {ends.total()} times")
        if ends:
            if "" in ends:
                totals.released += 1
            else:
                totals.closed_early += 1
        elif row is not None:
            _wait(totals, row, now_ms)
        elif offset >= committed.get((lane, named.partition), 0):
            totals.unread += 1
        else:
            totals.lost += 1
            _list(totals, named, "neither waiting nor released")
    for named, row in rows.items():
        if named not in held and row.waits:  # its keep record is past its retention
            totals.held += 1
            _wait(totals, row, now_ms)
    return totals


def _wait(totals: TimerTotals, row: Timer, now_ms: int) -> None:
    if not row.waits:  # its due record is past its retention
        totals.released += 1
        return
    totals.waiting += 1
    keeps_to_rate = bool(row.pace) and not row.closes  # it may wait behind others for as long as its rate says
    totals.overdue += row.due_at < now_ms - OVERDUE_MS and not keeps_to_rate


def _list(totals: TimerTotals, named: Named, problem: str) -> None:
    if len(totals.unbalanced) < 100:
        lane, _, offset = named.name.partition("|")
        totals.unbalanced.append(f"push.keep.{lane}.v1[{named.partition}]@{offset}: {problem}")
