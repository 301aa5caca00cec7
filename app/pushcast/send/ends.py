"""What Kafka has acknowledged: budget comes back, and records that have all their outcomes are done."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from pushcast.send.budget import Budget
from pushcast.send.endings import Share
from pushcast.send.records import OpenRecord


class RecordEnds:
    """Of one stage. `fed`: there may be room for more records. What fails here ends the process (`guarded`)."""

    def __init__(self, budget: Budget, fed: Callable[[], None], guarded: Callable[[Callable[[], None]], None]) -> None:
        self._budget = budget
        self._fed = fed
        self._guarded = guarded

    def acked(self, shares: list[Share]) -> None:
        """Outcomes of targets that hold budget."""
        self._guarded(partial(self._acked, shares))

    def _acked(self, shares: list[Share]) -> None:
        for record, key, count in shares:
            self._budget.release(key, count)
            _ended(record, count)
        _weigh({record for record, _, _ in shares})
        self._fed()
        self._budget.wake()

    def parked(self, lot: list[tuple[OpenRecord, int]]) -> None:
        """Outcomes of targets that hold none."""
        for record, count in lot:
            _ended(record, count)
        _weigh({record for record, _ in lot})
        self._fed()


def _ended(record: OpenRecord, count: int) -> None:
    if record.tenure.ended(record, count):
        record.batch.done_many((record.offset,))


def _weigh(records: Iterable[OpenRecord]) -> None:
    """Records that are not over weigh what is left of them: one app that waits must not pause the partition with the
    weight of those in the same records that are done."""
    for record in records:
        if record.left and not record.dropped:
            record.weigh()
