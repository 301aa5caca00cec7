"""Glue of KEEP. So far it is the edge of the cancels: every record is checked once, by whoever owns its partition.

Planners, senders and settlers follow the topic themselves, without a group, and leave out what is malformed; that they
need nobody in between is what makes a cancel quick.
"""

from __future__ import annotations

from collections import Counter
from functools import partial

from pushcast.model.clock import Clock
from pushcast.model.errors import InvalidInput
from pushcast.stream.batch import TP, Batch, Committed, Record
from pushcast.stream.callbacks import guarded
from pushcast.stream.edge import Edge, Misplaced, check_place, counting
from pushcast.stream.flood import FloodGuard
from pushcast.stream.ports import Fatal, Outbox
from pushcast.stream.stage import Stage
from pushcast.stream.tenure import Passing, Tenures
from pushcast.wire.cancels import CancelDecoder
from pushcast.wire.keys import user_of
from pushcast.wire.schemas import SchemaSource


class KeepStage(Stage):
    """Admits cancels; a malformed one becomes a dead letter, a misplaced one is moved to its partition once."""

    def __init__(
        self,
        outbox: Outbox,
        clock: Clock,
        *,
        partitions: int,
        counters: Counter[tuple[str, str]],
        fatal: Fatal,
        schemas: SchemaSource | None = None,
        flood: FloodGuard | None = None,
    ) -> None:
        self._outbox = outbox
        self._clock = clock
        self._partitions = partitions
        self._count = counting(counters)
        self._schemas = schemas
        self._decode = CancelDecoder(schemas).decode
        self._guarded = guarded("keep: an acknowledgement failed", fatal)
        self._held = Tenures(lambda tp, committed: Passing())
        self._edge = Edge("keep", outbox, self._count, flood)

    async def assigned(self, committed: dict[TP, Committed]) -> None:
        """Nothing is known of a partition that is not in its topic."""
        self._held.begin(committed)

    async def handle(self, batch: Batch) -> None:
        """See `Stage`."""
        records = batch.records
        if self._schemas is not None:
            await self._schemas.prepare([record.value for record in records])
        await self._outbox.room()
        tp, sound, errors = TP(batch.topic, batch.partition), list[int](), list[InvalidInput]()
        for record in records:
            try:
                self._admit(record)
            except Misplaced as misplaced:
                self._edge.forward(record, misplaced.right, self._done(tp, batch, record))
            except Exception as error:  # whatever decoding raises: no record ends the process
                refusal = self._edge.refusal(record, error)
                errors.append(refusal)
                self._edge.bury(record, refusal, self._done(tp, batch, record))
            else:
                sound.append(record.offset)
        self._edge.note(tp, len(records) - len(errors), errors)
        self._count("consumed", "", len(records))
        batch.done_many(sound)

    async def revoking(self, partitions: set[TP]) -> None:
        """Waits until Kafka has what was moved or buried."""
        await self._held.end(partitions)

    def _admit(self, record: Record) -> None:
        user = user_of(record.key)
        check_place(record, self._partitions)
        self._decode(user, record.value, record.timestamp if record.timestamp >= 0 else self._clock.now_ms())

    def _done(self, tp: TP, batch: Batch, record: Record) -> partial[None]:
        return partial(self._guarded, self._held.of(tp).completing(batch, [record.offset]))
