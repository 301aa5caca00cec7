"""REGISTER as a stage: batches of events in, rows of the devices topic out."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

from pushcast.handover.healing import Healing
from pushcast.handover.table_claims import TableClaims
from pushcast.model.clock import Clock
from pushcast.model.errors import InvalidInput
from pushcast.model.ownership import Evict
from pushcast.model.words import Reason
from pushcast.register.admit import Admission, Admitted
from pushcast.register.context import Context
from pushcast.register.doubt import BreakerDoubts
from pushcast.register.evicting import Evicting
from pushcast.register.holding import Holding
from pushcast.register.holds import Hold
from pushcast.register.names import STAGE, Topics
from pushcast.register.ports import Counters
from pushcast.register.resealing import Resealing
from pushcast.register.rows import Changes
from pushcast.register.suspending import Suspending
from pushcast.register.sweep import DEFAULT_RULES, SweepRules
from pushcast.register.sweeping import Sweeping
from pushcast.register.swept import SweptRows
from pushcast.register.tenure import RegisterTenure, Row
from pushcast.register.tokens import PLAIN, Tokens
from pushcast.register.view import UserView
from pushcast.register.writing import Writing
from pushcast.stream.assignment import boottime_seconds
from pushcast.stream.batch import TP, Batch, Committed, Record
from pushcast.stream.edge import Edge, Misplaced, counting
from pushcast.stream.fatal import end_process
from pushcast.stream.flood import FloodGuard
from pushcast.stream.overlay import InFlight, Overlay
from pushcast.stream.ports import CallLater, Fatal, Outbox
from pushcast.stream.stage import Stage
from pushcast.stream.sweeps import DEFAULT_PACE, SweepPace
from pushcast.stream.table import AppliedRecord, Table, require_held
from pushcast.stream.tenure import Tenures
from pushcast.wire.control_state import ControlChange, ControlEvent, ControlState
from pushcast.wire.newer import NewerSchema
from pushcast.wire.receipts import TokenInvalid
from pushcast.wire.schemas import SchemaSource

#: Handled without giving way to the event loop: about 20 ms of work.
CHUNK_RECORDS = 500
_LOOK_SECONDS = 0.01
#: A record with where it goes instead: another partition of its topic, or the dead letters.
Detour = tuple[Record, int | InvalidInput | NewerSchema]
MAX_ROWS_IN_FLIGHT = 100_000


class RegisterStage(Stage):
    """Decides from the devices table and from what is in flight; the only writer of device rows.

    A record is done when its own rows and all rows before it in its partition are acknowledged. Idempotent: records
    that are handled again write nothing or the same. Exactly one process may own a partition.
    """

    def __init__(
        self,
        admission: Admission,
        table: Table,
        outbox: Outbox,
        clock: Clock,
        counters: Counters,
        *,
        control: ControlState,
        hold_seconds: float,
        names: Topics | None = None,
        max_rows_in_flight: int = MAX_ROWS_IN_FLIGHT,
        schemas: SchemaSource | None = None,
        schema_generation: int = 2,
        tokens: Tokens = PLAIN,
        max_per_user: int | None = None,
        withholds: Callable[[Record], bool] | None = None,
        rules: SweepRules = DEFAULT_RULES,
        pace: SweepPace = DEFAULT_PACE,
        flood: FloodGuard | None = None,
        fatal: Fatal = end_process,
        call_later: CallLater | None = None,
    ) -> None:
        """`control` must be whole when the first batch comes, and is followed from then on."""
        names = names or Topics()
        self._schemas = schemas
        self._edge = Edge(STAGE, outbox, counting(counters), flood, withholds)
        self._admission = admission
        self._outbox = outbox
        self._counters = counters
        self._table = table
        self._device_topic = names.device
        self._hold_topic = names.hold
        self._in_flight = InFlight(max_rows_in_flight)
        doubts = BreakerDoubts(control)
        self._context = Context(
            table, outbox, counters, doubts, names, admission.partitions, schema_generation, tokens, max_per_user
        )
        self._resealing = Resealing(self._context)
        self._claims = TableClaims(STAGE, names.device, table, outbox, clock)
        self._holding = Holding(
            hold_seconds,
            clock=clock,
            doubts=doubts,
            silence_seconds=lambda: boottime_seconds() - min(self.work.last_heartbeat_at(), control.current_at),
            room=self._room,
            end_all=self._end_holds,
            fatal=fatal,
            call_later=call_later,
        )
        self._healing: Healing[RegisterTenure] = Healing(
            table, self._claims, counters, room=self._room, overwrite=self._overwrite, fatal=fatal
        )
        self._sweeping = Sweeping(
            table,
            rules,
            pace,
            clock=clock,
            counters=counters,
            confirmed=control.sweeps.__contains__,
            may_write=self._claims.is_last,
            room=self._room,
            end_all=self._end_swept,
            fatal=fatal,
            call_later=call_later,
        )
        self._clock = clock
        self._tenures = Tenures(self._new_tenure)
        table.on_applied(self._applied)
        table.on_void(self._found_void)
        control.subscribe(self._changed)

    async def assigned(self, committed: dict[TP, Committed]) -> None:
        """Fences the predecessors off; nothing is decided before the table knows what they wrote until then.

        Raises TimeoutError, and is called again, while this process has no table for one of the partitions.
        """
        require_held(self._table, (tp.partition for tp in committed))
        mine = self._of_table(committed)
        self._let_go(mine)
        await self._claims.take_over(self.work, committed)
        self._counters["claims", ""] += len(mine)
        self._tenures.begin(dict.fromkeys(mine, Committed(None, "")))
        for tp in mine:
            tenure = self._tenures.of(tp)
            tenure.healing.wake()
            tenure.sweeping.wake()

    async def handle(self, batch: Batch) -> None:
        """See `Stage`. Waits for the outbox, and for the table when it lags behind."""
        records = batch.records
        if self._schemas is not None:
            await self._schemas.prepare([record.value for record in records])
        handle = self._hold if batch.topic == self._hold_topic else self._apply
        for start in range(0, len(records), CHUNK_RECORDS):
            await self._room()
            if batch.lost:
                return
            chunk = records[start : start + CHUNK_RECORDS]
            detours = handle(batch, chunk)
            errors = [to for _, to in detours if isinstance(to, InvalidInput)]
            self._edge.note(TP(batch.topic, batch.partition), len(chunk) - len(errors), errors)
            for record, to in detours:
                done = partial(batch.done_many, [record.offset])
                if isinstance(to, NewerSchema):
                    await _done_below(batch, record.offset)
                    raise to
                if isinstance(to, InvalidInput):
                    self._edge.bury(record, to, done)
                else:
                    self._edge.forward(record, to, done)

    async def refresh(self) -> None:
        """Goes on with sealing rows anew."""
        for tenure in list(self._tenures):
            await self._resealing.look(tenure, self._room, partial(self._is_ours, tenure))

    def _is_ours(self, tenure: RegisterTenure) -> bool:
        return self._tenures.get(TP(self._device_topic, tenure.number)) is tenure

    def commit_metadata(self, tp: TP, offset: int) -> str:
        """The epoch of the claim."""
        return self._claims.metadata(tp, offset)

    async def revoking(self, partitions: set[TP]) -> None:
        """Waits until what was handed over is done, then forgets the rows in flight. Holds are not waited for: the next
        owner begins them again."""
        mine = self._of_table(partitions)
        self._tenures.close(mine)
        try:
            await super().revoking({tp for tp in partitions if tp.topic != self._hold_topic})
            await self._tenures.settled(mine)
        finally:
            self._let_go(mine)

    def _of_table(self, sources: Iterable[TP]) -> list[TP]:
        """The table's partitions: sources of the same number share one, and its tenure."""
        return [TP(self._device_topic, number) for number in sorted({tp.partition for tp in sources})]

    def _tenure(self, partition: int) -> RegisterTenure:
        return self._tenures.of(TP(self._device_topic, partition))

    def _new_tenure(self, tp: TP, _: Committed) -> RegisterTenure:
        headers = self._context.row_headers(self._claims.origin(tp))
        overlay: Overlay[Row] = Overlay(self._in_flight)
        return RegisterTenure(
            tp.partition,
            headers,
            overlay,
            holding=self._holding.runner_of,
            healing=self._healing.runner_of,
            sweeping=self._sweeping.runner_of,
        )

    def _let_go(self, mine: Iterable[TP]) -> None:
        for tp in mine:
            self._resealing.forget(tp.partition)
            if (tenure := self._tenures.get(tp)) is not None:
                tenure.overlay.drop()
        self._tenures.forget(mine)
        self._claims.let_go(tp.partition for tp in mine)

    def _applied(self, partition: int, records: Sequence[AppliedRecord]) -> None:
        if (tenure := self._tenures.get(TP(self._device_topic, partition))) is not None:
            tenure.overlay.applied(records)

    def _found_void(self, partition: int, count: int) -> None:
        self._counters["void_rows", "found"] += count
        if (tenure := self._tenures.get(TP(self._device_topic, partition))) is not None:
            tenure.healing.wake()

    def _changed(self, change: ControlChange) -> None:
        """Ends holds at once when the breaker of their (app, platform) opens, as far as that casts doubt on them."""
        if change.event is ControlEvent.OPENED:
            for tenure in self._tenures:
                tenure.holds.urge(change.app, change.platform)
                tenure.holding.wake()

    async def _room(self) -> None:
        await self._in_flight.room()
        await self._outbox.room()

    def _hold(self, batch: Batch, records: Sequence[Record]) -> list[Detour]:
        """Lets suspensions wait for their end. Their other steps in this topic are for people to read."""
        detours: list[Detour] = []
        holds: list[tuple[Record, TokenInvalid]] = []
        told: list[int] = []
        for record in records:
            try:
                event = self._admission.admit_hold(record)
            except Misplaced as misplaced:
                detours.append((record, misplaced.right))
            except Exception as error:
                detours.append((record, self._edge.refusal(record, error)))
            else:
                if event is None:
                    told.append(record.offset)
                else:
                    holds.append((record, event))
        batch.done_many(told)
        self._holding.add(self._tenure(batch.partition), batch, holds)
        return detours

    def _end_holds(self, tenure: RegisterTenure, holds: Sequence[Hold]) -> list[Hold]:
        """Returns those whose row only a later release can read."""
        barrier = self._outbox.barrier()
        offsets: dict[Batch, list[int]] = {}
        waiting: list[Hold] = []
        with Writing(self._context, tenure, barrier) as write:
            changes = Suspending(self._context, write, UserView(self._context, tenure))
            for hold in holds:
                try:
                    changes.end(hold.record, self._admission.verdict_of(hold.record))
                except NewerSchema:
                    self._counters["unreadable_rows", Reason.UNKNOWN_SCHEMA] += 1
                    waiting.append(hold)
                else:
                    offsets.setdefault(hold.batch, []).append(hold.record.offset)
        for batch, mine in offsets.items():
            tenure.completions.add(batch, mine, barrier)
        return waiting

    def _end_swept(self, tenure: RegisterTenure, keys: Sequence[bytes]) -> None:
        barrier = self._outbox.barrier()
        with Writing(self._context, tenure, barrier) as write:
            ending = SweptRows(self._context, tenure, write, self._sweeping.rules, self._clock.now_ms())
            for key in keys:
                ending.end(key)
        barrier.on_acked(lambda: None)  # a refusal ends the process: rows of this size are never refused

    def figures(self) -> Counter[str]:
        """What sweeps have found: see `Sweeping.figures`."""
        return self._sweeping.figures(self._tenures)

    def _overwrite(self, tenure: RegisterTenure, void: Mapping[bytes, int]) -> None:
        barrier = self._outbox.barrier()
        write = Writing(self._context, tenure, barrier)
        for key, offset in void.items():
            write.over(key, offset)
        barrier.on_acked(lambda: None)  # a refusal ends the process: the log would stay wrong

    def _apply(self, batch: Batch, records: Sequence[Record]) -> list[Detour]:
        """Puts the rows of these records; returns the records that belong elsewhere.

        Nothing is awaited: the other topic's batch of this partition must not come between a decision and its write.
        """
        tenure = self._tenure(batch.partition)
        barrier = self._outbox.barrier()
        detours: list[Detour] = []
        admitted: list[tuple[Record, Admitted, int]] = []
        for record in records:
            try:
                admitted.append((record, *self._admission.admit(record)))
            except Misplaced as misplaced:
                detours.append((record, misplaced.right))
            except Exception as error:
                detours.append((record, self._edge.refusal(record, error)))
        view = UserView(self._context, tenure)
        view.expect(record.key or b"" for record, _, _ in admitted)
        offsets: list[int] = []
        with Writing(self._context, tenure, barrier) as write:
            changes = Changes(self._context, write, view)
            verdicts = Suspending(self._context, write, view)
            evicting = Evicting(self._context, write, view)
            for record, event, at in admitted:
                try:
                    if isinstance(event, TokenInvalid):
                        verdicts.suspend(record, event)
                    elif isinstance(event, Evict):
                        evicting.apply(record, event)
                    else:
                        changes.apply(record, event, at)
                except InvalidInput as error:
                    detours.append((record, error))
                except NewerSchema as newer:
                    detours.append((record, newer))
                    break  # this one waits, and so does what comes behind it
                else:
                    offsets.append(record.offset)
        tenure.completions.add(batch, offsets, barrier)
        return detours


async def _done_below(batch: Batch, offset: int) -> None:
    """Returns when what came before is done: it is handed over again otherwise."""
    while not batch.lost and any(record.offset < offset for record in batch.unfinished()):
        await asyncio.sleep(_LOOK_SECONDS)
