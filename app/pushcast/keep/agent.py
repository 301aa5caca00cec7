"""Glue of KEEP: what planners hold back comes in, waits in a table, and goes back to them when it is due.

The table is a compacted topic that KEEP alone writes. Whatever becomes of a timer, it closes in one way: by a due
record, after which its row is closed. Cancels are checked here for all stages, which follow them without a group; a
timer that is called off is due at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, MutableMapping, Sequence
from functools import partial
from typing import Final

from pushcast.handover import standing
from pushcast.handover.fences import Fences
from pushcast.keep.broker_time import BrokerTime, Disagreement, too_far_ahead
from pushcast.keep.configured import KeepRules
from pushcast.keep.exact import STAGE, KeepHandover
from pushcast.keep.heard import Heard
from pushcast.keep.parts import KeepParts
from pushcast.keep.ports import KeepPorts
from pushcast.keep.read_back import EarlierRecords
from pushcast.keep.tenure import KeepTenure
from pushcast.keep.written import WrittenEntries
from pushcast.model.clock import Clock
from pushcast.model.errors import InvalidInput
from pushcast.model.forecast import Forecast
from pushcast.model.words import Lane
from pushcast.stream.batch import TP, Batch, Committed, Record
from pushcast.stream.cancelling import Cancels, NothingCancelled
from pushcast.stream.edge import Edge, Misplaced, counting
from pushcast.stream.flood import FloodGuard
from pushcast.stream.overlay import InFlight
from pushcast.stream.ports import Barrier, CallLater, Fatal, Outbox
from pushcast.stream.sharing import Sharing
from pushcast.stream.stage import Stage
from pushcast.stream.table import Table, require_held
from pushcast.stream.tenure import Tenures
from pushcast.wire import topics
from pushcast.wire.schemas import SchemaSource

#: Source records handled without giving way to the event loop.
CHUNK_RECORDS = 200
#: Of all partitions: written, and not read back yet. Each takes about a kilobyte.
MAX_ROWS_IN_FLIGHT: Final = 20_000
_LANES = {topics.keep(lane): lane for lane in Lane}
#: Of each keep topic those of more urgent lanes.
_AHEAD = {topic: tuple(_LANES)[:at] for at, topic in enumerate(_LANES)}
_NEVER: Final = Committed(None, "")
Take = Callable[[KeepTenure, Barrier, Record], None]
#: Takes records from a place on; returns that of the first one that it leaves to `Take`.
TakeUsual = Callable[[KeepTenure, Barrier, Sequence[Record], int], int]


class KeepStage(Stage):
    """Decides from the table and from what is in flight; the only writer of timers. It belongs to the event loop.

    A record is done when its own rows and all rows before it in its partition are acknowledged. Handling one again
    changes nothing: its timer is there, waiting or released.
    """

    def __init__(
        self,
        table: Table,
        outbox: Outbox,
        clock: Clock,
        exact: KeepHandover,
        rules: KeepRules,
        *,
        counters: MutableMapping[tuple[str, str], int],
        fatal: Fatal,
        schemas: SchemaSource | None = None,
        flood: FloodGuard | None = None,
        cancels: Cancels | None = None,
        call_later: CallLater | None = None,
        written: WrittenEntries | None = None,
        sharing: Sharing | None = None,
        earlier: EarlierRecords | None = None,
    ) -> None:
        """`sharing`: more urgent lanes are ahead of others; None: one comes after the other. `earlier`: what users
        read; None: it is not read once more."""
        self._sharing = sharing
        self._table = table
        self._outbox = outbox
        self._clock = clock
        self._exact = exact
        self._schemas = schemas
        self._count = count = counting(counters)
        self._cancels: Cancels = cancels or NothingCancelled()
        self._edge = Edge(STAGE, outbox, count, flood)
        self._in_flight = InFlight(MAX_ROWS_IN_FLIGHT)
        self._fences: dict[TP, Fences] = {}  # of the keep topics: planners fence each other off there
        self._disagreement = Disagreement()
        ports = KeepPorts(table, outbox, clock, exact, count, fatal, self._room, call_later)
        self.parts = KeepParts(
            ports,
            rules,
            cancels=self._cancels,
            schemas=schemas,
            written=written or WrittenEntries(),
            earlier=earlier,
            held=lambda tenure: rules.hold_on_disagreement and tenure.time in too_far_ahead(self._times()),
            may_hold_before=self._may_hold_before,
        )
        intake = self.parts.intake
        #: Beside the keep topics.
        self._by_topic: dict[str, Take] = {
            topics.CANCEL: intake.cancel,
            topics.ENGAGEMENT: intake.engage,
            topics.RECALLABLE: intake.offered,
            topics.COUNTED: intake.count,
        }
        self._cancels.state.subscribe(self._cancelled)
        self._tenures = Tenures(lambda tp, _: self.parts.tenure(tp.partition, self._in_flight))
        self._heard = Heard(ports, self.parts.release, self._tenures)

    def _cancelled(self, partition: int | None, _: frozenset[str]) -> None:
        if partition is None:  # a campaign was
            for tenure in self._tenures:
                tenure.recaller.wake()

    def forecast(self) -> Forecast:
        """What is due within a day in the partitions of this process, as it was counted last."""
        found = Forecast(self._clock.now_ms())
        for tenure in self._tenures:
            if tenure.forecast is not None:
                found.merge(tenure.forecast)
        return found

    def next_release_seconds(self, partition: int) -> float | None:
        """Until the next timer of a partition may leave; None: nothing waits there."""
        tenure = self._tenures.get(TP(topics.USER, partition))
        return None if tenure is None else self.parts.release.wait_seconds(tenure)

    def at_work(self, partition: int) -> bool:
        """Whether something of a partition is under way that no record waits for."""
        tenure = self._tenures.get(TP(topics.USER, partition))
        return tenure is not None and tenure.at_work

    def _may_hold_before(self, tenure: KeepTenure, at_ms: int) -> bool:
        return any(self.work.may_hold_before(TP(topic, tenure.number), at_ms) for topic in _LANES)

    def disagreement_seconds(self) -> float:
        """The largest difference between the clocks of this machine and of the brokers of its partitions."""
        return self._disagreement.seconds(self._times())

    def _times(self) -> list[BrokerTime]:
        return [tenure.time for tenure in self._tenures]

    # partitions come and go

    async def assigned(self, committed: dict[TP, Committed]) -> None:
        """Fences the predecessors off and closes the rows of what they released; nothing is released before.

        Raises TimeoutError, and is called again, while this process has no table for one of the partitions.
        """
        mine = _of_table(committed)
        require_held(self._table, (tp.partition for tp in mine))
        self._let_go(mine)
        await self._cancels.follow(tp.partition for tp in mine)
        await self._exact.take_over(
            self.work, {tp: at for tp, at in committed.items() if tp.topic == topics.keep(Lane.URGENT)}
        )
        for tp, at in committed.items():
            if tp.topic in _LANES:
                self._fences[tp] = Fences(standing.decode(at.metadata).origins)
        self._tenures.begin(dict.fromkeys(mine, Committed(None, "")))
        await self._recover(mine)
        for tp in mine:
            self._exact.firings(tp.partition).recovered()
            self._tenures.of(tp).runner.wake()
            self._tenures.of(tp).counter.wake()
            self._tenures.of(tp).ticker.wake()
            self._tenures.of(tp).recaller.wake()
            self._tenures.of(tp).read_back_to = committed.get(TP(topics.ENGAGEMENT, tp.partition), _NEVER).offset or 0
            self._tenures.of(tp).reader.wake()

    async def _recover(self, mine: Iterable[TP]) -> None:
        """Closes the rows of timers that predecessors released without living to close them."""
        await self._room()
        barrier, now_ms = self._outbox.barrier(), self._clock.now_ms()
        for tp in mine:
            tenure = self._tenures.of(tp)
            for name in self._exact.released(tp.partition):
                self.parts.completing.complete(tenure, barrier, name, now_ms)
            self.parts.ticking.begin(tenure, barrier)
        await barrier.wait()

    async def revoking(self, partitions: set[TP]) -> None:
        """Releases nothing more, and waits until Kafka has what was written."""
        mine = _of_table(partitions)
        self._tenures.close(mine)
        try:
            await super().revoking(partitions)
            await self._tenures.settled(mine)
        finally:
            self._let_go(mine)

    def commit_metadata(self, tp: TP, offset: int) -> str:
        """On the urgent keep topic the claim and where releases are found; on all of them planners' fences."""
        fences = self._fences.get(tp)
        origins = {} if fences is None else fences.below(offset)
        if tp.topic == topics.keep(Lane.URGENT):
            return self._exact.metadata(tp, offset, origins)
        return standing.encode(standing.Standing(origins=origins))

    async def refresh(self) -> None:
        """Output positions of partitions where nothing happens."""
        await self._exact.refresh(self.work)

    def _let_go(self, mine: Iterable[TP]) -> None:
        for tp in mine:
            if (tenure := self._tenures.get(tp)) is not None:
                tenure.overlay.drop()
        self._tenures.forget(mine)

    # records

    async def handle(self, batch: Batch) -> None:
        """See `Stage`. Waits for the outbox, and for the table when it lags behind."""
        tp, records = TP(batch.topic, batch.partition), batch.records
        if batch.topic in self._by_topic and self._schemas is not None:
            await self._schemas.prepare([record.value for record in records])
        take, usual = self._by_topic.get(batch.topic), None
        if take is None:
            held = _LANES[tp.topic], self._fences.setdefault(tp, Fences())
            take, usual = partial(self.parts.intake.hold, *held), partial(self.parts.usual.take, *held)
        self._count("consumed", "", len(records))
        for start in range(0, len(records), CHUNK_RECORDS):
            await self._room()
            if batch.lost:
                return
            began = 0.0 if self._sharing is None else self._sharing.began()
            self._take(tp, batch, records[start : start + CHUNK_RECORDS], take, usual)
            if self._sharing is not None and (ahead := _AHEAD.get(batch.topic)):
                await self._sharing.give_way(self.work, [TP(topic, batch.partition) for topic in ahead], began)

    def _take(
        self,
        tp: TP,
        batch: Batch,
        records: Sequence[Record],
        take: Take,
        usual: TakeUsual | None,
    ) -> None:
        """Nothing is awaited: another source's batch must not come between a decision and its write. `usual`: of a keep
        topic, takes what needs no look of its own."""
        tenure = self._tenures.of(TP(topics.USER, tp.partition))
        barrier, sound, errors = self._outbox.barrier(), list[int](), list[InvalidInput]()
        at = 0
        with self.parts.rows.read_ahead(tenure, [record.key for record in records if record.key] if usual else ()):
            while at < len(records):
                if usual is not None:
                    first, at = at, usual(tenure, barrier, records, at)
                    sound += [record.offset for record in records[first:at]]
                    if at == len(records):
                        break
                record = records[at]
                at += 1
                try:
                    take(tenure, barrier, record)
                except Misplaced as misplaced:
                    self._edge.forward(record, misplaced.right, partial(batch.done, record.offset))
                except Exception as error:  # whatever decoding raises: no record ends the process
                    refusal = self._edge.refusal(record, error)
                    errors.append(refusal)
                    self._edge.bury(record, refusal, partial(batch.done, record.offset))
                else:
                    sound.append(record.offset)
        self._edge.note(tp, len(records) - len(errors), errors)
        tenure.completions.add(batch, sound, barrier)
        self._heard.tell_of(tenure, barrier)

    async def _room(self) -> None:
        await self._in_flight.room()
        await self._outbox.room()


def _of_table(sources: Iterable[TP]) -> list[TP]:
    """The table's partitions: sources of the same number share one, and its tenure."""
    return [TP(topics.USER, number) for number in sorted({tp.partition for tp in sources})]
