"""How KEEP takes partitions over: the claim lies on the urgent keep topic, for all sources of the same number."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

from pushcast.config.settings import Settings
from pushcast.handover.claims import ClaimRefused, Claims, OutputEnds
from pushcast.handover.reading import SpanReader
from pushcast.handover.runner import Handover
from pushcast.handover.state import Outset
from pushcast.handover.tail import Place
from pushcast.keep.firings import INHERITED, Firings
from pushcast.model.clock import Clock
from pushcast.model.words import Lane
from pushcast.stream.batch import TP, Committed
from pushcast.stream.ports import PositionedOutbox
from pushcast.stream.table import Table
from pushcast.wire import topics
from pushcast.wire.headers import Headers
from pushcast.wire.waiting.held import timer_of

STAGE = "keep"
#: A table that has not applied a fence by then stands still: the claim is made anew.
FENCE_SECONDS = 30.0
_RELEASED = b"released"


def _released(headers: Headers, value: bytes) -> Iterable[tuple[Place, bytes]]:
    yield (INHERITED, timer_of(headers)), _RELEASED


class KeepHandover:
    """Claim, fences, the table up to its fence, and the releases of predecessors whose rows may still be there."""

    def __init__(
        self, settings: Settings, table: Table, outbox: PositionedOutbox, clock: Clock, reader: SpanReader | None = None
    ) -> None:
        kafka = settings.kafka
        self._table = table
        self._firings: dict[str, Firings] = {}  # by origin
        self._moved = asyncio.Event()
        self._handover = Handover(
            STAGE,
            {topics.due(lane): _released for lane in Lane},
            topics.USER,
            outbox=outbox,
            reader=reader or SpanReader(kafka.bootstrap_servers, kafka.security),
            clock=clock,
            make=self._made,
            tables={topics.USER},
        )
        self.counters = self._handover.counters
        table.on_applied(lambda *_: self._moved.set())

    def _made(self, outset: Outset) -> Firings:
        firings = self._firings[outset.origin] = Firings(outset)
        return firings

    async def take_over(self, work: Claims, committed: Mapping[TP, Committed]) -> None:
        """Returns when predecessors are fenced off, the table has applied our fences, and the tails are read.

        `committed`: of the urgent keep topic. Raises what `Handover.take_over` raises.
        """
        await self._handover.take_over(work, committed)
        epochs = {tp.partition: self.firings(tp.partition).epoch for tp in committed}
        async with asyncio.timeout(FENCE_SECONDS):
            while True:
                self._moved.clear()
                fenced = {partition: self._table.fenced(partition) for partition in epochs}
                if any(fenced[partition] > epoch for partition, epoch in epochs.items()):
                    raise ClaimRefused(f"{STAGE}: another process has claimed one of partitions {sorted(epochs)}")
                if fenced == epochs:
                    return
                await self._moved.wait()

    def firings(self, partition: int) -> Firings:
        """Of a partition that was taken over."""
        return self._firings[f"{STAGE}/{partition}"]

    def released(self, partition: int) -> list[str]:
        """Timers that predecessors released and whose rows may still be there, by `held.timer_of`."""
        return [place[1] for place in self.firings(partition).tail.there if isinstance(place, tuple)]

    def begin(self, partition: int) -> int:
        """The number of a release: before its due record is put."""
        number = self.firings(partition).begin()
        self._handover.note(_urgent(partition), number, number)
        return number

    def origin(self, partition: int) -> Headers:
        """Headers of every output of this partition while it is ours."""
        return self._handover.origin(_urgent(partition))

    def metadata(self, tp: TP, offset: int, origins: Mapping[str, int]) -> str:
        """What the commit of the urgent keep topic carries."""
        return self._handover.metadata(tp, offset, origins)

    async def refresh(self, work: OutputEnds) -> None:
        """Looks up how far the outputs have been written by now."""
        await self._handover.refresh(work)


def _urgent(partition: int) -> TP:
    return TP(topics.keep(Lane.URGENT), partition)
