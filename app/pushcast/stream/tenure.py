"""What a stage holds of one partition during one assignment is one object: its tenure.

A tenure is made when the partition is assigned, given the partition's batches, and closed when the partition goes. A
stage holds its tenures here instead of a dictionary for each thing that it knows of a partition.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Generic, Protocol, TypeVar

from pushcast.stream.batch import TP, Batch, Committed


class Pending:
    """Counts outputs that are on their way to Kafka, and lets somebody wait until none is."""

    __slots__ = ("_count", "_none")

    def __init__(self) -> None:
        self._count = 0
        self._none = asyncio.Event()
        self._none.set()

    def __len__(self) -> int:
        return self._count

    def begun(self, count: int = 1) -> None:
        """So many more are on their way."""
        self._count += count
        if self._count:
            self._none.clear()

    def ended(self, count: int = 1) -> None:
        """So many are acknowledged."""
        self._count -= count
        if not self._count:
            self._none.set()

    async def none(self) -> None:
        """Returns when Kafka has acknowledged everything. No bound of its own."""
        await self._none.wait()


class Tenure(Protocol):
    """One partition during one assignment."""

    @property
    def pending(self) -> Pending:
        """Outputs that Kafka has not acknowledged; they count although the tenure is closed."""

    def close(self) -> None:
        """Lets go of what is not begun: Kafka hands it to the next owner. No timer or task of it runs afterwards."""


class Passing:
    """A tenure of a stage that holds nothing back: all it knows is what Kafka has not acknowledged."""

    def __init__(self) -> None:
        self.pending = Pending()

    def completing(self, batch: Batch, offsets: Sequence[int]) -> Callable[[], None]:
        """To be called when Kafka has the outputs of these records: they are done. Until then they are pending."""
        self.pending.begun()

        def completed() -> None:
            self.pending.ended()
            batch.done_many(offsets)

        return completed

    def close(self) -> None:
        """Nothing waits here."""


T = TypeVar("T", bound=Tenure)


class Tenures(Generic[T]):
    """The tenures of a stage by partition. It belongs to the event loop."""

    def __init__(self, make: Callable[[TP, Committed], T]) -> None:
        self._make = make
        self._held: dict[TP, T] = {}

    def of(self, tp: TP) -> T:
        """The partition's tenure, made on the first question when `begin` was not called: nothing was ever committed
        then."""
        held = self._held.get(tp)
        if held is None:
            held = self._held[tp] = self._make(tp, Committed(None, ""))
        return held

    def get(self, tp: TP) -> T | None:
        """The partition's tenure; closed ones stay until the partition is assigned again, for the last commit."""
        return self._held.get(tp)

    def __iter__(self) -> Iterator[T]:
        return iter(list(self._held.values()))

    def begin(self, committed: Mapping[TP, Committed]) -> None:
        """New tenures for assigned partitions. What an earlier one still held is let go: Kafka hands it over again."""
        for tp, at in committed.items():
            earlier = self._held.get(tp)
            if earlier is not None:
                earlier.close()
            self._held[tp] = self._make(tp, at)

    def close(self, partitions: Iterable[TP]) -> None:
        """Closes the tenures of these partitions; what is on its way to Kafka still counts."""
        for tp in partitions:
            if (held := self._held.get(tp)) is not None:
                held.close()

    def forget(self, partitions: Iterable[TP]) -> None:
        """Closes these tenures and lets go of them: no commit asks anything of them any more."""
        for tp in partitions:
            if (held := self._held.pop(tp, None)) is not None:
                held.close()

    async def settled(self, partitions: Iterable[TP]) -> None:
        """Returns when Kafka has acknowledged the outputs of these partitions. The transport bounds the wait."""
        for tp in partitions:
            if (held := self._held.get(tp)) is not None:
                await held.pending.none()

    async def end(self, partitions: Iterable[TP]) -> None:
        """`close`, then `settled`."""
        going = list(partitions)
        self.close(going)
        await self.settled(going)
