"""Glue of KEEP: what planners hold back comes in, waits in a table, and goes back to them when it is due.

The table is a compacted topic that KEEP alone writes. Whatever becomes of a timer, it closes in one way: by a due
record, after which its row is closed. Cancels are checked here for all stages, which follow them without a group; a
timer that is called off is due at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from functools import partial
from typing import Final

from pushcast.handover import standing
from pushcast.handover.fences import Fences
from pushcast.keep import rules
from pushcast.keep.badging import USUAL as USUAL_BADGES
from pushcast.keep.badging import BadgeRules, Badging
from pushcast.keep.broker_time import BrokerTime, Disagreement, too_far_ahead
from pushcast.keep.campaign_ends import CampaignEnds
from pushcast.keep.census import Census
from pushcast.keep.digests import flushed
from pushcast.keep.exact import STAGE, KeepHandover
from pushcast.keep.index import REMEMBER_MS
from pushcast.keep.intake import KeepIntake
from pushcast.keep.joining import Joining
from pushcast.keep.lateness import LateOrder
from pushcast.keep.outlook import OutlookRules, unknown
from pushcast.keep.plain_intake import PlainIntake
from pushcast.keep.read_back import EarlierRecords, ReadBack
from pushcast.keep.release import Release
from pushcast.keep.removals import USUAL, RemovalRules
from pushcast.keep.removing import Removing
from pushcast.keep.rows import Rows
from pushcast.keep.tenure import KeepTenure, OpenedTimer, Row
from pushcast.keep.ticking import Ticking
from pushcast.keep.written import WrittenEntries
from pushcast.model.caps import CapRule
from pushcast.model.clock import Clock
from pushcast.model.digest import DigestRule
from pushcast.model.errors import InvalidInput
from pushcast.model.forecast import Forecast
from pushcast.model.pacing import Rates
from pushcast.model.words import Lane
from pushcast.stream.batch import TP, Batch, Committed, Record
from pushcast.stream.callbacks import guarded
from pushcast.stream.cancelling import Cancels, NothingCancelled
from pushcast.stream.edge import Edge, Misplaced, counting
from pushcast.stream.flood import FloodGuard
from pushcast.stream.overlay import InFlight, Overlay
from pushcast.stream.ports import Barrier, CallLater, CountingOutbox, Fatal, Outbox
from pushcast.stream.sharing import Sharing
from pushcast.stream.stage import Stage
from pushcast.stream.table import AppliedRecord, Table, require_held
from pushcast.stream.tenure import Tenures
from pushcast.wire import topics
from pushcast.wire.events.threads import ThreadReader
from pushcast.wire.schemas import SchemaSource
from pushcast.wire.waiting.digests import closed_by
from pushcast.wire.waiting.timers import user_key

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
        *,
        partitions: int,
        counters: MutableMapping[tuple[str, str], int],
        fatal: Fatal,
        schemas: SchemaSource | None = None,
        flood: FloodGuard | None = None,
        cancels: Cancels | None = None,
        digests: Mapping[str, DigestRule] | None = None,
        caps: Sequence[CapRule] = (),
        call_later: CallLater | None = None,
        removals: RemovalRules = USUAL,
        badges: BadgeRules = USUAL_BADGES,
        rates: Rates | None = None,
        hold_on_disagreement: bool = False,
        tzdata: str | None = None,
        written: WrittenEntries | None = None,
        sharing: Sharing | None = None,
        outlook: OutlookRules | None = None,
        earlier: EarlierRecords | None = None,
        closing_gather_seconds: float = 0.0,
        remember_ms: int = REMEMBER_MS,
    ) -> None:
        """`hold_on_disagreement`: partitions whose broker is ahead of another one's let nothing go. `tzdata`: the
        version of the zones, this process's own unless a test has another. `sharing`: more urgent lanes are ahead of
        others; None: one comes after the other. `outlook`: of the forecast, and of what expires first; None: none.
        `earlier`: what users read; None: it is not read once more. `closing_gather_seconds`: see `DueRecords`;
        `remember_ms`: see `Queues`."""
        self._sharing = sharing
        self._table = table
        self._outbox = outbox
        self._acked = outbox.acked if isinstance(outbox, CountingOutbox) else None
        self._clock = clock
        self._exact = exact
        self._schemas = schemas
        self._count = counting(counters)
        self._cancels: Cancels = cancels or NothingCancelled()
        self._edge = Edge(STAGE, outbox, self._count, flood)
        self._in_flight = InFlight(MAX_ROWS_IN_FLIGHT)
        self._rows = Rows(table, outbox, written or WrittenEntries())
        joining = Joining(self._rows, digests or {})
        self._fences: dict[TP, Fences] = {}  # of the keep topics: planners fence each other off there
        self.release = Release(
            self._rows,
            table,
            exact,
            outbox,
            clock,
            self._count,
            room=self._room,
            guarded=guarded("keep: an acknowledgement failed", fatal),
            fatal=fatal,
            digests=digests or {},
            rates=rates or Rates({}, {}),
            partitions=partitions,
            badges=partial(Badging, rules=badges, threads=ThreadReader(schemas)),
            caps=caps,
            joining=joining,
            late=LateOrder(unknown if outlook is None else outlook.lifetime_of),
            call_later=call_later,
            held=lambda tenure: hold_on_disagreement and tenure.time in too_far_ahead(self._times()),
            may_hold_before=self._may_hold_before,
            closing_gather_seconds=closing_gather_seconds,
            remember_ms=remember_ms,
        )
        campaigns, removed = (lambda: self._cancels.state.campaigns), self.release.badges.removed
        removing = Removing(self._rows, removals, self._count, campaigns, removed)
        self._intake = KeepIntake(
            self._rows,
            clock,
            self._cancels,
            self._count,
            partitions=partitions,
            schemas=schemas,
            joining=joining,
            removing=removing,
            badging=self.release.badges,
            capping=self.release.capping,
        )
        self._usual = PlainIntake(self._rows, clock, self._cancels, self._count)
        #: Beside the keep topics.
        self._by_topic: dict[str, Take] = {
            topics.CANCEL: self._intake.cancel,
            topics.ENGAGEMENT: self._intake.engage,
            topics.RECALLABLE: self._intake.offered,
            topics.COUNTED: self._intake.count,
        }
        self._ticking = Ticking(
            self._rows,
            table,
            outbox,
            self._count,
            room=self._room,
            fatal=fatal,
            call_later=call_later,
            tzdata=tzdata,
        )
        self._campaigns = CampaignEnds(
            self._rows,
            table,
            outbox,
            removing,
            joining,
            self._cancels,
            threads=ThreadReader(schemas),
            now_ms=clock.now_ms,
            room=self._room,
            fatal=fatal,
            call_later=call_later,
        )
        self._cancels.state.subscribe(self._cancelled)
        self._read_back = ReadBack(earlier, clock, fatal, call_later, schemas)
        self._disagreement = Disagreement()
        self._census = Census(table, clock, fatal, outlook, call_later)
        self._tenures = Tenures(self._new_tenure)
        table.on_applied(self._applied)
        table.on_void(self._found_void)

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
        return None if tenure is None else self.release.wait_seconds(tenure)

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
                self._complete(tenure, barrier, name, now_ms)
            self._ticking.begin(tenure, barrier)
        await barrier.wait()

    def _complete(self, tenure: KeepTenure, barrier: Barrier, name: str, now_ms: int) -> None:
        """Closes the row of what a due record of this name closes, unless it is closed."""
        push = closed_by(name)
        if push is not None:
            key, upto, at = push
            head = self._rows.head(tenure, key)
            if head is None or head.flushed_at:
                return
            self._rows.put(tenure, barrier, key, flushed(head, at, upto, is_push=True))
        else:
            lane, offset, row_key = name.split("|", 2)
            key = row_key.encode()
            timer = self._rows.timer(tenure, key)
            if timer is None or not timer.waits or timer.name != f"{lane}|{offset}":
                return
            self.release.capping.left(tenure, barrier, key, timer, now_ms)
            row = rules.released(timer, now_ms)
            self._rows.put(tenure, barrier, key, row)
            self.release.badges.recovered(tenure, barrier, row, user_key(key).decode())
        self._count("void_timers", "completed", 1)

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

    def _new_tenure(self, tp: TP, _: Committed) -> KeepTenure:
        origin = self._exact.origin(tp.partition)
        overlay = Overlay[Row | bytes](self._in_flight)
        running = self.release.runner_of, self._census.runner_of, self._ticking.runner_of, self._campaigns.runner_of
        reader = self._read_back.runner_of
        return KeepTenure(
            tp.partition, origin, overlay, *running, reader, BrokerTime(self._clock), self._clock.now_ms()
        )

    def _applied(self, partition: int, records: Sequence[AppliedRecord]) -> None:
        if (tenure := self._tenures.get(TP(topics.USER, partition))) is not None:
            ours = tenure.overlay.applied(records)
            stamped_ms = records[-1].timestamp if records else 0
            acked = None if self._acked is None else self._acked(topics.USER, partition)
            if acked is not None:
                is_ours = self._table.fenced(partition) == self._exact.firings(partition).epoch
                tenure.unbroken.applied(acked, self._table.position(partition), is_ours=is_ours)
                stamped_ms = max(stamped_ms, acked.stamped_ms) if records else 0
            if stamped_ms > 0:
                tenure.time.heard(stamped_ms)
            self.release.applied(tenure, len(records), ours)

    def _found_void(self, partition: int, count: int) -> None:
        self._count("void_timers", "found", count)
        if (tenure := self._tenures.get(TP(topics.USER, partition))) is not None:
            tenure.runner.wake()

    # records

    async def handle(self, batch: Batch) -> None:
        """See `Stage`. Waits for the outbox, and for the table when it lags behind."""
        tp, records = TP(batch.topic, batch.partition), batch.records
        if batch.topic in self._by_topic and self._schemas is not None:
            await self._schemas.prepare([record.value for record in records])
        take, usual = self._by_topic.get(batch.topic), None
        if take is None:
            held = _LANES[tp.topic], self._fences.setdefault(tp, Fences())
            take, usual = partial(self._intake.hold, *held), partial(self._usual.take, *held)
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
        with self._rows.read_ahead(tenure, [record.key for record in records if record.key] if usual else ()):
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
        if tenure.opened:
            opened, tenure.opened = tenure.opened, []
            barrier.on_acked(partial(self._acknowledged, tenure, opened))

    def _acknowledged(self, tenure: KeepTenure, opened: Sequence[OpenedTimer]) -> None:
        """Kafka has the rows of urgent timers: those that count let theirs go at once, whose table reads them later."""
        acked = None if self._acked is None else self._acked(topics.USER, tenure.number)
        if acked is None or tenure.closed or not tenure.unbroken.reaches(acked):
            return
        if acked.stamped_ms > 0:
            tenure.time.heard(acked.stamped_ms)
        self.release.at_once(tenure, opened)

    async def _room(self) -> None:
        await self._in_flight.room()
        await self._outbox.room()


def _of_table(sources: Iterable[TP]) -> list[TP]:
    """The table's partitions: sources of the same number share one, and its tenure."""
    return [TP(topics.USER, number) for number in sorted({tp.partition for tp in sources})]
