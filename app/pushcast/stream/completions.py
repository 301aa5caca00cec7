"""Completes records in the order in which their outputs were produced."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from pushcast.stream.batch import Batch
from pushcast.stream.ports import Barrier
from pushcast.stream.tenure import Pending


class _Part:
    __slots__ = ("acked", "batch", "offsets")

    def __init__(self, batch: Batch, offsets: Sequence[int]) -> None:
        self.batch = batch
        self.offsets = offsets
        self.acked = False


class Completions:
    """Of one partition, over both topics. A part is complete when its own outputs and all before it are acknowledged.

    An event that changes nothing has no output, but may change nothing because of an earlier one that Kafka has not
    acknowledged yet: it must not be done before that. `pending` counts parts.
    """

    def __init__(self) -> None:
        self.pending = Pending()
        self._parts: deque[_Part] = deque()

    def add(self, batch: Batch, offsets: Sequence[int], barrier: Barrier) -> None:
        """Completes these offsets of the batch in their turn."""
        part = _Part(batch, offsets)
        self._parts.append(part)
        self.pending.begun()

        def acked() -> None:
            part.acked = True
            self._complete()

        barrier.on_acked(acked)

    def _complete(self) -> None:
        parts = self._parts
        while parts and parts[0].acked:
            part = parts.popleft()
            part.batch.done_many(part.offsets)
            self.pending.ended()
