"""OWN as a stage: claims of tokens in; the owner of each, and evictions, out."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, MutableMapping, Sequence
from functools import partial
from typing import Final

from pushcast.handover.healing import Healing
from pushcast.handover.table_claims import TableClaims
from pushcast.model.clock import Clock
from pushcast.model.errors import InvalidInput
from pushcast.model.words import Reason
from pushcast.own.chunk import Chunk
from pushcast.own.decide import is_over
from pushcast.own.fresh import KnownMark, whole
from pushcast.own.tenure import OwnTenure
from pushcast.own.token_marks import STAGE, Names, TokenMarks
from pushcast.own.vacancies import Vacancies
from pushcast.stream.batch import TP, Batch, Committed, Record
from pushcast.stream.edge import Edge, Misplaced, check_place, counting
from pushcast.stream.fatal import end_process
from pushcast.stream.flood import FloodGuard
from pushcast.stream.overlay import InFlight, Overlay
from pushcast.stream.ports import CallLater, Fatal, Outbox
from pushcast.stream.stage import Stage
from pushcast.stream.sweeps import DEFAULT_PACE, SweepPace
from pushcast.stream.table import AppliedRecord, Table, require_held
from pushcast.stream.tenure import Tenures
from pushcast.wire.devices.claim_reader import ReadClaim, read_claims
from pushcast.wire.headers import appended_at

#: Handled without giving way to the event loop, and those of one record more: about 20 ms of work.
CHUNK_CLAIMS: Final = 500
MAX_ROWS_IN_FLIGHT: Final = 100_000
ClaimsOfRecord = tuple[Record, list[ReadClaim]]


class OwnStage(Stage):
    """Decides from the owners table and from what is in flight; the only writer of owner rows.

    A claim is done when its eviction and its row, and all rows before it in its partition, are acknowledged.
    Idempotent. Exactly one process may own a partition.
    """

    def __init__(
        self,
        table: Table,
        outbox: Outbox,
        clock: Clock,
        counters: MutableMapping[tuple[str, str], int],
        *,
        partitions: int,
        names: Names | None = None,
        max_rows_in_flight: int = MAX_ROWS_IN_FLIGHT,
        vacant_seconds: float,
        mirrors: bool = True,
        pace: SweepPace = DEFAULT_PACE,
        flood: FloodGuard | None = None,
        fatal: Fatal = end_process,
        call_later: CallLater | None = None,
    ) -> None:
        """`vacant_seconds`: how long the mark of a token that nobody has stands on. `mirrors`: whether anybody reads
        what holders of tokens follow."""
        self._names = names or Names()
        self._mirrors = mirrors
        self._partitions = partitions
        self._table = table
        self._outbox = outbox
        self._count = counting(counters)
        self._edge = Edge(STAGE, outbox, self._count, flood)
        self._marks = TokenMarks(table, outbox, self._names, partitions, self._count)
        self._in_flight = InFlight(max_rows_in_flight)
        self._claims = TableClaims(STAGE, self._names.owner, table, outbox, clock)
        self._clock = clock
        self._healing: Healing[OwnTenure] = Healing(
            table, self._claims, counters, room=self._room, overwrite=self._marks.overwrite, fatal=fatal
        )
        self._vacancies = Vacancies(
            table,
            round(vacant_seconds * 1000),
            pace,
            clock=clock,
            may_write=self._claims.is_last,
            room=self._room,
            end_all=self._end_marks,
            fatal=fatal,
            call_later=call_later,
        )
        self._swept = itertools.count()
        self._tenures = Tenures(self._new_tenure)
        table.on_applied(self._applied)
        table.on_void(self._found_void)

    async def assigned(self, committed: dict[TP, Committed]) -> None:
        """Fences the predecessors off; nothing is decided before the table knows what they wrote until then.

        Raises TimeoutError, and is called again, while this process has no table for one of the partitions.
        """
        require_held(self._table, (tp.partition for tp in committed))
        self._let_go(committed)
        await self._claims.take_over(self.work, committed)
        if self._mirrors:
            await self._marks.fence((tp.partition, self._claims.origin(tp)) for tp in committed)
        self._tenures.begin(committed)
        for tp in committed:
            tenure = self._tenures.of(tp)
            tenure.healing.wake()
            tenure.sweeping.wake()

    async def handle(self, batch: Batch) -> None:
        """See `Stage`. Waits for the outbox, and for the table when it lags behind."""
        start = 0
        while start < len(batch.records):
            await self._room()
            if batch.lost:
                return
            start += await self._decide(batch, batch.records[start : start + CHUNK_CLAIMS])

    def commit_metadata(self, tp: TP, offset: int) -> str:
        """The epoch of the claim."""
        return self._claims.metadata(tp, offset)

    async def revoking(self, partitions: set[TP]) -> None:
        """Waits until what was handed over is done, then forgets the rows in flight."""
        self._tenures.close(partitions)
        try:
            await super().revoking(partitions)
            await self._tenures.settled(partitions)
        finally:
            self._let_go(partitions)

    async def _decide(self, batch: Batch, records: Sequence[Record]) -> int:
        """Evictions first, acknowledged, then the marks: a claim that is handled again after a kill finds its own mark
        and evicts nobody. What a chunk makes of one token is one row. Returns how many records it was."""
        tenure = self._tenures.of(TP(batch.topic, batch.partition))
        read, offsets, claims = self._read(batch, records)
        marks = self._marks.known(tenure, [claim.key for _, of_record in claims for claim in of_record])
        chunk = Chunk(marks, self._clock.now_ms())
        for record, of_record in claims:
            chunk.take(record, of_record)
            tenure.newest_at = max(tenure.newest_at, appended_at(record) or 0)
        for (name, word), number in chunk.counted.items():
            self._count(name, word, number)
        if chunk.evicts:
            await self._marks.evict(chunk.evicts)
            if batch.lost:
                return read
        barrier = self._outbox.barrier()
        self._marks.put_all(tenure, barrier, chunk.written())
        self._marks.tell(tenure, barrier, chunk.topics)
        tenure.completions.add(batch, offsets, barrier)
        return read

    def _read(
        self, batch: Batch, records: Sequence[Record]
    ) -> tuple[int, list[int], list[tuple[Record, list[ReadClaim]]]]:
        """The first of these records, until there are claims enough: how many they are, the offsets of those that are
        claims, and what they claim. The others are moved or buried."""
        read = count = 0
        claims: list[ClaimsOfRecord] = []
        errors: list[InvalidInput] = []
        for record in records:
            if count >= CHUNK_CLAIMS:
                break
            read += 1
            done = partial(batch.done_many, (record.offset,))
            try:
                of_record = self._claims_of(record)
            except Misplaced as misplaced:
                self._edge.forward(record, misplaced.right, done)
                continue
            except Exception as error:  # whatever decoding raises: no record ends the process
                refusal = self._edge.refusal(record, error)
                errors.append(refusal)
                self._edge.bury(record, refusal, done)
                continue
            claims.append((record, of_record))
            count += len(of_record)
        self._edge.note(TP(batch.topic, batch.partition), read - len(errors), errors)
        return read, [record.offset for record, _ in claims], claims

    def _claims_of(self, record: Record) -> list[ReadClaim]:
        """Raises Misplaced for one claim that lies elsewhere, and InvalidInput for several: each might have another
        place."""
        claims = read_claims(record.key, record.value)
        try:
            check_place(record, self._partitions)
        except Misplaced as misplaced:
            if len(claims) == 1:
                raise
            raise InvalidInput(
                Reason.WRONG_PARTITION,
                f"the key belongs to partition {misplaced.right} of {self._partitions}: a registrar with another"
                " kafka.partitions wrote these claims",
                "key",
            ) from None
        return claims

    def _end_marks(self, tenure: OwnTenure, keys: Sequence[bytes]) -> None:
        """Ends those whose time has come, as they are with all that is in flight."""
        before = self._vacancies.before(tenure)
        barrier = self._outbox.barrier()
        for key, mark in self._marks.known(tenure, keys).items():
            if mark is not None and is_over(whole(mark), before):
                tag = f"sweep/{tenure.number}/{next(self._swept)}".encode()
                self._marks.put(tenure, barrier, key, None, tag)
                self._count("token_marks_ended", "", 1)
        barrier.on_acked(lambda: None)  # a refusal ends the process: a tombstone is never refused

    def _new_tenure(self, tp: TP, _: Committed) -> OwnTenure:
        overlay: Overlay[KnownMark] = Overlay(self._in_flight)
        return OwnTenure(
            tp.partition,
            self._claims.origin(tp),
            overlay,
            healing=self._healing.runner_of,
            sweeping=self._vacancies.runner_of,
        )

    def _let_go(self, partitions: Iterable[TP]) -> None:
        mine = list(partitions)
        for tp in mine:
            if (tenure := self._tenures.get(tp)) is not None:
                tenure.overlay.drop()
        self._tenures.forget(mine)
        self._claims.let_go(tp.partition for tp in mine)

    def _tenure_of(self, partition: int) -> OwnTenure | None:
        return self._tenures.get(TP(self._names.claim, partition))

    def _applied(self, partition: int, records: Sequence[AppliedRecord]) -> None:
        if (tenure := self._tenure_of(partition)) is not None:
            tenure.overlay.applied(records)

    def _found_void(self, partition: int, count: int) -> None:
        self._count("void_rows", "found", count)
        if (tenure := self._tenure_of(partition)) is not None:
            tenure.healing.wake()

    async def _room(self) -> None:
        await self._in_flight.room()
        await self._outbox.room()
