"""Glue of ECHO: notes in, one answer each out, exactly once over kill -9."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from example_stage.echo.decide import answer
from pushcast.handover.exact import Exactness
from pushcast.stream.batch import TP, Batch, Committed
from pushcast.stream.callbacks import guarded
from pushcast.stream.edge import Edge, counting
from pushcast.stream.ports import Fatal, Outbox
from pushcast.stream.stage import Stage
from pushcast.stream.tenure import Passing, Tenures
from pushcast.wire.headers import Headers
from pushcast.wire.schemas import AvroType

OUTPUT = "push.echo.v1"
ECHO = AvroType("echo", (Path(__file__).parent / "echo.avsc").read_text())
ANSWER = b"answer"


def items(headers: Headers, value: bytes) -> Iterable[tuple[int, bytes]]:
    """Which source offset an answer in the topic belongs to: what a new owner learns of its predecessor."""
    return ((ECHO.decode(value)["source_offset"], ANSWER),)


class EchoStage(Stage):
    """One answer for each note, in the note's partition."""

    def __init__(self, outbox: Outbox, exact: Exactness, fatal: Fatal) -> None:
        self._outbox = outbox
        self._exact = exact
        self._guarded = guarded("echo: an acknowledgement failed", fatal)
        self._held = Tenures(lambda tp, committed: Passing())
        self.counters: Counter[tuple[str, str]] = Counter()
        self._edge = Edge("echo", outbox, counting(self.counters))

    async def assigned(self, committed: dict[TP, Committed]) -> None:
        """Fences predecessors off and learns what they have answered."""
        self._held.begin(committed)
        await self._exact.take_over(self.work, committed)

    async def handle(self, batch: Batch) -> None:
        """Answers every note of the batch that has no answer yet; a bad one becomes a dead letter."""
        tp = TP(batch.topic, batch.partition)
        await self._outbox.room()
        barrier, answered = self._outbox.barrier(), list[int]()
        for record in batch.records:
            there = self._exact.begin(tp, record.offset)
            try:
                value = ECHO.encode({"source_offset": record.offset, "text": answer(record.value)})
            except Exception as error:  # whatever decoding raises: no record ends the process
                done = self._when_acked(tp, batch, [record.offset])
                self._edge.bury(record, self._edge.refusal(record, error), done)
                continue
            if ANSWER not in there:
                self._outbox.put(barrier, OUTPUT, tp.partition, value, record.key, self._exact.origin(tp))
            answered.append(record.offset)
        barrier.on_acked(self._when_acked(tp, batch, answered))

    def _when_acked(self, tp: TP, batch: Batch, offsets: list[int]) -> Callable[[], None]:
        return partial(self._guarded, self._held.of(tp).completing(batch, offsets))

    def commit_metadata(self, tp: TP, offset: int) -> str:
        """Epoch and output positions."""
        return self._exact.metadata(tp, offset)

    async def refresh(self) -> None:
        """Output positions of partitions where nothing happens."""
        await self._exact.refresh(self.work)

    async def revoking(self, partitions: set[TP]) -> None:
        """Waits until Kafka has what was answered."""
        await self._held.end(partitions)
