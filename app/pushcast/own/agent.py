"""OWN as a stage: claims of tokens in; the owner of each, and evictions, out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from functools import partial
from typing import Final, NamedTuple

from pushcast.handover.healing import Healing
from pushcast.handover.table_claims import TableClaims
from pushcast.model.clock import Clock
from pushcast.model.errors import InvalidInput
from pushcast.model.ids import partition_of
from pushcast.model.ownership import Claim, Evict, Mark, user_and_device
from pushcast.own.decide import decide
from pushcast.own.tenure import OwnTenure
from pushcast.stream.batch import TP, Batch, Committed, Record
from pushcast.stream.edge import Edge, Misplaced, check_place, counting
from pushcast.stream.fatal import end_process
from pushcast.stream.flood import FloodGuard
from pushcast.stream.overlay import InFlight, Overlay, OverlayEntry
from pushcast.stream.ports import Barrier, Fatal, Outbox
from pushcast.stream.stage import Stage
from pushcast.stream.table import AppliedRecord, Table, require_held
from pushcast.stream.tenure import Tenures
from pushcast.wire import headers as h
from pushcast.wire import row_fences, topics
from pushcast.wire.headers import Headers, appended_at
from pushcast.wire.newer import waited_for
from pushcast.wire.ownership import decode_claim, decode_mark, encode_evict, encode_mark

STAGE: Final = "own"
#: Handled without giving way to the event loop: about 20 ms of work.
CHUNK_RECORDS: Final = 500
MAX_ROWS_IN_FLIGHT: Final = 100_000
_SOURCE: Final = "/pushcast/own"
_HEALED: Final = [("push-step", b"healed")]


class Names(NamedTuple):
    """Topics; others than the product's own only in tests on a shared broker."""

    claim: str = topics.TOKEN_CLAIM
    owner: str = topics.TOKEN_OWNER
    evict: str = topics.TOKEN_EVICT


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
        flood: FloodGuard | None = None,
        fatal: Fatal = end_process,
    ) -> None:
        self._names = names or Names()
        self._partitions = partitions
        self._table = table
        self._outbox = outbox
        self._count = counting(counters)
        self._edge = Edge(STAGE, outbox, self._count, flood)
        self._in_flight = InFlight(max_rows_in_flight)
        self._claims = TableClaims(STAGE, self._names.owner, table, outbox, clock)
        self._clock = clock
        self._healing: Healing[OwnTenure] = Healing(
            table, self._claims, counters, room=self._room, overwrite=self._overwrite, fatal=fatal
        )
        self._tenures = Tenures(self._new_tenure)
        self._evict_headers = _event("token_evict")
        table.on_applied(self._applied)
        table.on_void(self._found_void)

    async def assigned(self, committed: dict[TP, Committed]) -> None:
        """Fences the predecessors off; nothing is decided before the table knows what they wrote until then.

        Raises TimeoutError, and is called again, while this process has no table for one of the partitions.
        """
        require_held(self._table, (tp.partition for tp in committed))
        self._let_go(committed)
        await self._claims.take_over(self.work, committed)
        self._tenures.begin(committed)
        for tp in committed:
            self._tenures.of(tp).healing.wake()

    async def handle(self, batch: Batch) -> None:
        """See `Stage`. Waits for the outbox, and for the table when it lags behind."""
        for start in range(0, len(batch.records), CHUNK_RECORDS):
            await self._room()
            if batch.lost:
                return
            await self._decide(batch, batch.records[start : start + CHUNK_RECORDS])

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

    async def _decide(self, batch: Batch, records: Sequence[Record]) -> None:
        """Evictions first, acknowledged, then the marks: a claim that is handled again after a kill finds its own mark
        and evicts nobody. What a chunk makes of one token is one row."""
        tp = TP(batch.topic, batch.partition)
        tenure = self._tenures.of(tp)
        offsets: list[int] = []
        decided: dict[bytes, tuple[Mark, bytes]] = {}
        evicts: list[tuple[Evict, Record]] = []
        errors: list[InvalidInput] = []
        for record in records:
            done = partial(batch.done_many, (record.offset,))
            try:
                check_place(record, self._partitions)
                claim = decode_claim(record.key, record.value)
            except Misplaced as misplaced:
                self._edge.forward(record, misplaced.right, done)
                continue
            except Exception as error:  # whatever decoding raises: no record ends the process
                refusal = self._edge.refusal(record, error)
                errors.append(refusal)
                self._edge.bury(record, refusal, done)
                continue
            self._take(tenure, record, claim, decided, evicts)
            offsets.append(record.offset)
        self._edge.note(tp, len(records) - len(errors), errors)
        if evicts:
            await self._put_evicts(evicts)
            if batch.lost:
                return
        barrier = self._outbox.barrier()
        for key, (mark, tag) in decided.items():
            self._put_mark(tenure, barrier, key, mark, tag)
        tenure.completions.add(batch, offsets, barrier)

    def _take(
        self,
        tenure: OwnTenure,
        record: Record,
        claim: Claim,
        decided: dict[bytes, tuple[Mark, bytes]],
        evicts: list[tuple[Evict, Record]],
    ) -> None:
        key = claim.token.key()
        mark = decided[key][0] if key in decided else self._mark(tenure, claim, key)
        recorded_at = appended_at(record) or self._clock.now_ms()
        decision = decide(mark, claim, recorded_at)
        if decision.mark is not None:
            decided[key] = decision.mark, f"{record.topic}/{record.partition}/{record.offset}".encode()
        if decision.evict is not None:
            evicts.append((decision.evict, record))
        result = "vacated" if claim.over else "moved" if decision.evict else "claimed"
        self._count("token_claims", result if decision.mark or decision.evict else "unchanged", 1)
        if decision.contested:
            self._count("token_contested", "", 1)

    def _mark(self, tenure: OwnTenure, claim: Claim, key: bytes) -> Mark | None:
        """Raises NewerSchema for a row that a later release wrote."""
        entry = tenure.overlay.of_user(claim.token.app.encode()).get(key)
        if entry is not None:
            return entry.row
        value = self._table.get(tenure.number, key)
        if value is None:
            return None
        try:
            return decode_mark(claim.token, value)
        except InvalidInput as error:
            waited_for(error, f"a row of {self._names.owner}")
            self._count("unreadable_rows", error.reason, 1)
            return None

    async def _put_evicts(self, evicts: Iterable[tuple[Evict, Record]]) -> None:
        barrier = self._outbox.barrier()
        for evict, record in evicts:
            user = user_and_device(evict.key)[0].encode()
            tag = f"{record.topic}/{record.partition}/{record.offset}".encode()
            put_headers = [(h.CE_ID, tag), *self._evict_headers]
            partition = partition_of(user, self._partitions)
            self._outbox.put(barrier, self._names.evict, partition, encode_evict(evict), user, put_headers)
        await barrier.wait()

    def _put_mark(self, tenure: OwnTenure, barrier: Barrier, key: bytes, mark: Mark, tag: bytes) -> None:
        tenure.overlay.put(key.partition(b"\0")[0], key, OverlayEntry(mark, tag))
        added = [(h.CE_ID, tag), *tenure.origin]
        self._outbox.put(barrier, self._names.owner, tenure.number, encode_mark(mark), key, added)

    def _overwrite(self, tenure: OwnTenure, void: Mapping[bytes, int]) -> None:
        """Writes what is known of these keys over void rows, under tags of their own: what is in flight has the same
        value already."""
        barrier = self._outbox.barrier()
        fences = row_fences.records(f"{STAGE}/{tenure.number}", self._table.fenced(tenure.number))
        for key, offset in void.items():
            added: Headers = [*tenure.origin, *_HEALED]
            if key in fences:
                value: bytes | None = fences[key]
                added = [*added, (h.FENCE, b"1")]
            else:
                entry = tenure.overlay.of_user(key.partition(b"\0")[0]).get(key)
                known = None if entry is None else entry.row
                value = self._table.get(tenure.number, key) if known is None else encode_mark(known)
            tag = f"{self._names.owner}/{tenure.number}/{offset}".encode()
            self._outbox.put(barrier, self._names.owner, tenure.number, value, key, [(h.CE_ID, tag), *added])
        barrier.on_acked(lambda: None)  # a refusal ends the process: the log would stay wrong

    def _new_tenure(self, tp: TP, _: Committed) -> OwnTenure:
        overlay: Overlay[Mark] = Overlay(self._in_flight)
        headers = [*_event("token_owner"), *self._claims.origin(tp)]
        return OwnTenure(tp.partition, headers, overlay, healing=self._healing.runner_of)

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


def _event(kind: str) -> Headers:
    return [header for header in h.event(kind, "", _SOURCE) if header[0] != h.CE_ID]
