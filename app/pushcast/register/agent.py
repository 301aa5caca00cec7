"""REGISTER as a stage: batches of events in, rows of the devices topic out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from pushcast.model.clock import Clock
from pushcast.model.errors import InvalidInput
from pushcast.register.admit import Admission
from pushcast.register.claim import Ownership
from pushcast.register.completions import Completions
from pushcast.register.doubt import BreakerDoubts
from pushcast.register.holding import Holding
from pushcast.register.holds import Hold
from pushcast.register.names import Topics
from pushcast.register.overlay import Overlay
from pushcast.register.ports import Counters
from pushcast.register.rows import Changes, Context, Headers
from pushcast.stream.assignment import boottime_seconds
from pushcast.stream.batch import TP, Batch, Committed, Record
from pushcast.stream.edge import Edge, Misplaced
from pushcast.stream.fatal import end_process
from pushcast.stream.flood import FloodGuard
from pushcast.stream.ports import CallLater, Fatal, Outbox
from pushcast.stream.stage import Stage
from pushcast.stream.table import Table
from pushcast.wire.control_state import ControlState
from pushcast.wire.receipts import TokenInvalid
from pushcast.wire.schemas import SchemaSource

#: Handled without giving way to the event loop: about 20 ms of work.
CHUNK_RECORDS = 500
#: A record with where it goes instead: another partition of its topic, or the dead letters.
Detour = tuple[Record, int | InvalidInput]
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
        holds_table: Callable[[int], bool] = lambda _: True,
        schemas: SchemaSource | None = None,
        schema_generation: int = 2,
        flood: FloodGuard | None = None,
        fatal: Fatal = end_process,
        call_later: CallLater | None = None,
    ) -> None:
        """`control` must be whole when the first batch comes, and is followed from then on."""
        names = names or Topics()
        self._schemas = schemas
        self._edge = Edge("register", outbox, self._count, flood)
        self._admission = admission
        self._outbox = outbox
        self._counters = counters
        self._holds_table = holds_table
        self._hold_topic = names.hold
        self._overlay = Overlay(max_rows_in_flight)
        doubts = BreakerDoubts(control)
        self._context = Context(
            table, self._overlay, outbox, counters, doubts, names.device, names.hold, schema_generation
        )
        self._completions: dict[int, Completions] = {}
        self._headers: dict[int, Headers] = {}
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
        self._holding.watch(control)
        self._ownership = Ownership(
            table,
            outbox,
            clock,
            counters,
            device_topic=names.device,
            room=self._room,
            overwrite=self._overwrite,
            fatal=fatal,
        )
        table.on_applied(self._overlay.applied)

    @property
    def rows_in_flight(self) -> int:
        """Rows produced that the table has not applied yet."""
        return len(self._overlay)

    @property
    def holds_waiting(self) -> int:
        """Suspensions whose hold is running in this process."""
        return self._holding.waiting()

    async def assigned(self, committed: dict[TP, Committed]) -> None:
        """Fences the predecessors off; nothing is decided before the table knows what they wrote until then.

        Raises TimeoutError, and is called again, while this process has no table for one of the partitions.

        Faust's assignor leaves out a table whose topic the group's leader does not know yet. Deciding from an empty
        table would take every device for new, and would leave a forgotten user's rows in place.
        """
        missing = sorted({tp.partition for tp in committed if not self._holds_table(tp.partition)})
        if missing:
            raise TimeoutError(f"the devices table has no partition {missing}: its topic is not known to the group yet")
        for partition in {tp.partition for tp in committed}:
            self._holding.forget(partition)
            self._headers.pop(partition, None)
        await self._ownership.take_over(self.work, committed)

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
                if isinstance(to, InvalidInput):
                    self._edge.bury(record, to, done)
                else:
                    self._edge.forward(record, to, done)

    def commit_metadata(self, tp: TP, offset: int) -> str:
        """The epoch of the claim."""
        return self._ownership.metadata(tp)

    async def revoking(self, partitions: set[TP]) -> None:
        """Waits until what was handed over is done, then forgets the rows in flight. Holds are not waited for: the next
        owner begins them again."""
        numbers = {tp.partition for tp in partitions}
        for number in numbers:
            self._holding.forget(number)
        try:
            await super().revoking({tp for tp in partitions if tp.topic != self._hold_topic})
            for number in numbers:
                await self._completions.get(number, Completions()).idle()
        finally:
            for number in numbers:
                self._overlay.drop(number)
                self._ownership.forget(number)
                self._completions.pop(number, None)

    def _count(self, name: str, word: str, by: int) -> None:
        self._counters[name, word] += by

    async def _room(self) -> None:
        await self._overlay.room()
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
        self._holding.add(batch, holds)
        return detours

    def _end_holds(self, partition: int, holds: Sequence[Hold]) -> None:
        barrier = self._outbox.barrier()
        changes = Changes(self._context, partition, barrier, self._constant(partition))
        offsets: dict[Batch, list[int]] = {}
        for hold in holds:
            changes.end_hold(hold.record, self._admission.verdict_of(hold.record))
            offsets.setdefault(hold.batch, []).append(hold.record.offset)
        completions = self._completions.setdefault(partition, Completions())
        for batch, mine in offsets.items():
            completions.add(batch, mine, barrier)

    def _constant(self, partition: int) -> Headers:
        constant = self._headers.get(partition)
        if constant is None:
            constant = self._headers[partition] = self._context.constant_headers(
                partition, self._ownership.epoch(partition)
            )
        return constant

    def _overwrite(self, partition: int, void: Mapping[bytes, int]) -> None:
        barrier = self._outbox.barrier()
        changes = Changes(self._context, partition, barrier, self._constant(partition))
        for key, offset in void.items():
            changes.overwrite(key, offset)
        barrier.on_acked(lambda: None)  # a refusal ends the process: the log would stay wrong

    def _apply(self, batch: Batch, records: Sequence[Record]) -> list[Detour]:
        """Puts the rows of these records; returns the records that belong elsewhere.

        Nothing is awaited: the other topic's batch of this partition must not come between a decision and its write.
        """
        partition = batch.partition
        barrier = self._outbox.barrier()
        changes = Changes(self._context, partition, barrier, self._constant(partition))
        admit, apply = self._admission.admit, changes.apply
        detours: list[Detour] = []
        offsets: list[int] = []
        for record in records:
            try:
                user, event, at = admit(record)
            except Misplaced as misplaced:
                detours.append((record, misplaced.right))
                continue
            except Exception as error:
                detours.append((record, self._edge.refusal(record, error)))
                continue
            try:
                apply(record, user, event, at)
            except InvalidInput as error:
                detours.append((record, error))
            else:
                offsets.append(record.offset)
        self._completions.setdefault(partition, Completions()).add(batch, offsets, barrier)
        return detours
