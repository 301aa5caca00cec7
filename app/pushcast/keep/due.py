"""Writes what closes timers and digests: a due record, then the rows that it closes. Nothing here waits."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from pushcast.keep.exact import KeepHandover
from pushcast.keep.tenure import KeepTenure
from pushcast.model.words import Lane
from pushcast.stream.callbacks import Guarded
from pushcast.stream.ports import Barrier, Outbox
from pushcast.wire import topics
from pushcast.wire.headers import Headers
from pushcast.wire.timers import user_key

#: Puts rows under a barrier.
Put = Callable[[Barrier], None]


class DueRecord(NamedTuple):
    """A record of `push.due.<lane>.v1`."""

    lane: str
    value: bytes
    headers: Headers


class DueRecords:
    """Of all partitions of one stage. A row that is being closed is in `tenure.firing` until Kafka has all of it."""

    def __init__(self, exact: KeepHandover, outbox: Outbox, guarded: Guarded) -> None:
        self._exact = exact
        self._outbox = outbox
        self._guarded = guarded

    def close(self, tenure: KeepTenure, key: bytes, record: DueRecord, put: Put, before: Put | None = None) -> None:
        """Puts the record; `put` writes the rows that it closes, once Kafka has it; `before` those that count it."""
        number = self._exact.begin(tenure.number)
        self._begun(tenure, key)
        barrier = self._outbox.barrier()
        if before is not None:
            before(barrier)
        topic = topics.due(Lane(record.lane))
        self._outbox.put(barrier, topic, tenure.number, record.value, user_key(key), record.headers)
        barrier.on_acked(partial(self._guarded, partial(self._close_rows, tenure, key, number, put)))

    def _close_rows(self, tenure: KeepTenure, key: bytes, number: int, put: Put) -> None:
        firings = self._exact.firings(tenure.number)

        def closed() -> None:
            firings.end(number)
            self._ended(tenure, key)

        barrier = self._outbox.barrier()
        put(barrier)
        barrier.on_acked(partial(self._guarded, closed))

    def write(self, tenure: KeepTenure, key: bytes, put: Put) -> None:
        """Writes rows that no due record closes."""
        self._begun(tenure, key)
        barrier = self._outbox.barrier()
        put(barrier)
        barrier.on_acked(partial(self._guarded, partial(self._ended, tenure, key)))

    @staticmethod
    def _begun(tenure: KeepTenure, key: bytes) -> None:
        tenure.firing.add(key)
        tenure.pending.begun()

    @staticmethod
    def _ended(tenure: KeepTenure, key: bytes) -> None:
        tenure.firing.discard(key)
        tenure.blocked.clear()
        tenure.pending.ended()
        tenure.runner.wake()
