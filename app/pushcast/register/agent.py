"""REGISTER as a stage: batches of events in, rows of the devices topic out."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Sequence, Set
from functools import partial

from pushcast.handover.healing import Healing
from pushcast.handover.table_claims import TableClaims
from pushcast.model.clock import Clock
from pushcast.model.errors import InvalidInput
from pushcast.register.admit import Admission
from pushcast.register.applying import Applying
from pushcast.register.context import Context
from pushcast.register.doubt import BreakerDoubts
from pushcast.register.holding import Holding
from pushcast.register.names import STAGE, Topics
from pushcast.register.ports import Counters
from pushcast.register.resealing import Resealing
from pushcast.register.seeing import Seeing
from pushcast.register.sweep import DEFAULT_RULES, SweepRules
from pushcast.register.sweeping import Sweeping
from pushcast.register.tenure import RegisterTenure, Row
from pushcast.register.tokens import PLAIN, Tokens
from pushcast.stream.assignment import boottime_seconds
from pushcast.stream.batch import TP, Batch, Committed, Record
from pushcast.stream.edge import Edge, counting
from pushcast.stream.fatal import end_process
from pushcast.stream.flood import FloodGuard
from pushcast.stream.overlay import InFlight, Overlay
from pushcast.stream.ports import CallLater, Fatal, Outbox
from pushcast.stream.stage import Stage
from pushcast.stream.sweeps import DEFAULT_PACE, SweepPace
from pushcast.stream.table import AppliedRecord, Table, require_held
from pushcast.stream.tenure import Tenures
from pushcast.wire.control.control_state import ControlChange, ControlEvent, ControlState
from pushcast.wire.newer import NewerSchema
from pushcast.wire.schemas import SchemaSource

#: Handled without giving way to the event loop: about 20 ms of work.
CHUNK_RECORDS = 500
_LOOK_SECONDS = 0.01
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
        mirrored: Set[str] = frozenset(),
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
        self._outbox = outbox
        self._counters = counters
        self._table = table
        self._device_topic = names.device
        self._hold_topic = names.hold
        self._engagement_topic = names.engagement
        self._in_flight = InFlight(max_rows_in_flight)
        doubts = BreakerDoubts(control)
        self._context = Context(
            table,
            outbox,
            counters,
            doubts,
            names,
            admission.partitions,
            schema_generation,
            tokens,
            max_per_user,
            mirrored,
        )
        self._applying = Applying(self._context, admission, self._edge, rules, clock)
        self._seeing = Seeing(self._context, clock, schemas)
        self._resealing = Resealing(self._context)
        self._claims = TableClaims(STAGE, names.device, table, outbox, clock)
        self._holding = Holding(
            hold_seconds,
            clock=clock,
            doubts=doubts,
            silence_seconds=lambda: boottime_seconds() - min(self.work.last_heartbeat_at(), control.current_at),
            room=self._room,
            end_all=self._applying.end_holds,
            fatal=fatal,
            call_later=call_later,
        )
        self._healing: Healing[RegisterTenure] = Healing(
            table, self._claims, counters, room=self._room, overwrite=self._applying.overwrite, fatal=fatal
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
            end_all=self._applying.end_swept,
            fatal=fatal,
            call_later=call_later,
        )
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
        for start in range(0, len(records), CHUNK_RECORDS):
            await self._room()
            if batch.lost:
                return
            chunk = records[start : start + CHUNK_RECORDS]
            tenure = self._tenures.of(TP(self._device_topic, batch.partition))
            if batch.topic == self._engagement_topic:
                self._seeing.apply(tenure, batch, chunk)
                continue
            if batch.topic == self._hold_topic:
                detours, holds = self._applying.holds_of(batch, chunk)
                self._holding.add(tenure, batch, holds)
            else:
                detours = self._applying.apply(tenure, batch, chunk)
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
                tenure.gate.end()
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

    def figures(self) -> Counter[str]:
        """What sweeps have found: see `Sweeping.figures`."""
        return self._sweeping.figures(self._tenures)


async def _done_below(batch: Batch, offset: int) -> None:
    """Returns when what came before is done: it is handed over again otherwise."""
    while not batch.lost and any(record.offset < offset for record in batch.unfinished()):
        await asyncio.sleep(_LOOK_SECONDS)
