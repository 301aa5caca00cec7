"""Faust's consumer, handing record lists to batch stages instead of single messages to agents."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any, cast

import faust
from aiokafka.errors import ConsumerStoppedError, IllegalStateError, KafkaError
from faust.transport.drivers.aiokafka import Consumer
from faust.types import TP
from mode import Service

from pushcast.stream import batch
from pushcast.stream.assignment import REVOKING_SHARE, boottime_seconds, holds
from pushcast.stream.batch import Committed
from pushcast.stream.fatal import end_process
from pushcast.stream.stage import BatchStage, PartitionState
from pushcast.stream.tracker import Record
from pushcast.transport.commits import Commits
from pushcast.transport.entries import Entries
from pushcast.transport.gathering import gather_seconds
from pushcast.transport.jumps import Jump, LogCut, TableLogCut, log_jump
from pushcast.transport.owned import OwnedPartitions
from pushcast.transport.partition import Partition
from pushcast.transport.recovery import Recovery
from pushcast.transport.thread import ConsumerThread
from pushcast.transport.tps import ours, theirs
from pushcast.transport.waits import Waits
from pushcast.transport.wanted import WantedPartitions

logger = logging.getLogger(__name__)

FETCH_TIMEOUT_SECONDS = 1.0
#: While tables recover, an empty fetch is what finds the end of the log.
RECOVERY_FETCH_TIMEOUT_SECONDS = 0.1
#: Rows at a time, however few a stage takes otherwise: nobody waits beside a table that recovers.
RECOVERY_POLL_RECORDS = 2000
LEASE_POLL_SECONDS = 0.05


class BatchConsumer(Consumer):
    """One fetch loop, a worker per partition, commits by low watermark.

    From revocation until everything is restored no record is taken. A partition is fed only while it has a worker,
    and only with records that were handed out under the present assignment (`lease`).
    """

    _thread: ConsumerThread

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.lease: object | None = None
        self._seeked: set[TP] = set()  # plain agents' partitions that stand at their committed offset
        self.commits = Commits(self)
        self.waits = Waits()
        self._owned = OwnedPartitions(self.waits)
        self.earlier: Counter[str] = Counter()  # records in a schema of an earlier release, by topic
        self.jumped: Counter[str] = Counter()  # offsets that retention deleted before they were handled, by topic
        super().__init__(*args, **kwargs)
        self._tables = Recovery(cast(faust.App, self.app), self)

    @property
    def partitions(self) -> dict[batch.TP, Partition]:
        """Of batch stages, as long as they are ours."""
        return self._owned.partitions

    @property
    def thread(self) -> ConsumerThread:
        return self._thread

    @property
    def restored(self) -> bool:
        """Partitions are assigned, tables recovered, stages prepared: records flow."""
        return self.lease is not None and not self.app.rebalancing and self._owned.prepared

    @property
    def _transport(self) -> Entries:
        return cast(Entries, self.transport)

    @property
    def subscribed(self) -> set[str]:
        return self._transport.stages.keys() | self.app.tables.changelog_topics

    @property
    def recovering(self) -> bool:
        return self._tables.recovering

    @property
    def gathered(self) -> Collection[str]:
        return self._transport.gathered

    @property
    def fetch_max_wait_ms(self) -> int:
        return self._transport.fetch_max_wait_ms

    async def id_lost(self) -> None:
        """The group's static id went to another process, and is about to be taken again. On the consumer's thread."""
        ask = self._transport.on_id_lost
        if ask is not None:
            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(ask(), self.loop))

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    # what to fetch

    def tails(self) -> Mapping[TP, int]:
        """Next offset to be applied of each table that is up to date. Called from the consumer's thread."""
        return self._tables.positions() if self.restored else {}

    def wants(self, tp: TP) -> bool:
        """Whether records of the partition may be taken now. Called from the consumer's thread."""
        if not self.flow_active or tp not in self._active_partitions:
            return False
        partition = self.partitions.get(ours(tp))
        if partition is not None:
            return not partition.paused
        if tp.topic in self._transport.stages:
            return False
        return tp in self._seeked or self._tables.holds(tp)

    async def _drain_messages(self, fetcher: Service) -> None:  # type: ignore[override]
        wanted = WantedPartitions(self.wants)
        max_records = self.app.conf.broker_max_poll_records
        try:
            while not (self.should_stop or fetcher.should_stop):
                if not self.flow_active:
                    await self.wait(self.can_resume_flow)  # type: ignore[arg-type]
                    continue
                recovering = self.recovering
                timeout = RECOVERY_FETCH_TIMEOUT_SECONDS if recovering else FETCH_TIMEOUT_SECONDS
                most = max(max_records, RECOVERY_POLL_RECORDS) if recovering else max_records
                try:
                    fetched = await self._thread.fetch(wanted, timeout, most)
                except (KafkaError, OSError) as exc:
                    logger.warning("fetch failed, again in %.1f s: %r", FETCH_TIMEOUT_SECONDS, exc)
                    await self.sleep(FETCH_TIMEOUT_SECONDS)
                    continue
                if fetched.records:
                    await self._leased_or_lost(fetched.lease)
                if fetched.lease is self.lease:
                    self._jump(fetched.jumps)
                    for tp, records in fetched.records.items():
                        await self._take(tp, records)
                    self._pass(fetched.positions)
                    self.waits.hold(fetched.held, boottime_seconds())
                    for damage in self.waits.unreadable(fetched.unreadable, fetched.records):
                        logger.error("%s", damage)
                if recovering:
                    await self._tables.check_end(bool(fetched.records))
                elif pause := gather_seconds(self._transport.gather_ms, map(len, fetched.records.values())):
                    await asyncio.sleep(pause)
        except ConsumerStoppedError:
            if not self.app.should_stop:
                raise
        except asyncio.CancelledError:
            if not self.app.should_stop:
                raise
        except Exception as exc:
            end_process("the fetch loop failed", exc)

    @property
    def leased(self) -> bool:
        """Whether nobody else can own the assigned partitions yet, by the last heartbeat."""
        timeout = self.app.conf.broker_session_timeout
        return holds(self._thread.membership.last_heartbeat_at, boottime_seconds(), timeout)

    async def _leased_or_lost(self, handed_out_under: object | None) -> None:
        """Holds records back while it is not known whose they are: the next heartbeat tells, or a rebalance."""
        while handed_out_under is self.lease and not self.leased and not self.should_stop:
            await self.sleep(LEASE_POLL_SECONDS)

    async def _take(self, tp: TP, records: list[Record]) -> None:
        partition = self.partitions.get(ours(tp))
        if partition is not None:
            partition.feed(records)
        elif not self._tables.apply(tp, records) and tp in self._seeked:
            for record in records:
                await self.wait_first(self.callback(self._to_message(tp, record)), self.suspend_flow.wait())
                self._read_offset[tp] = record.offset

    def _jump(self, jumps: Mapping[TP, Jump]) -> None:
        for tp, jump in jumps.items():
            if self._tables.holds(tp):
                self._tables.condemn(tp)
                end_process("a local copy holds what its log does not", TableLogCut(tp, jump))
            if jump.cut:
                end_process("offsets mean other records than they did", LogCut(tp, jump))
            log_jump(tp, jump)
            self.jumped[tp.topic] += jump.lost_records

    async def begin_anew(self, topic: str) -> int:
        """Commits the beginning of a topic that was made again. Returns how many records of the old log were not
        finished here.

        Kafka deletes the commits of a deleted topic, but one of ours may have come after that.
        """
        mine = {tp: Committed(0, "") for tp in self.partitions if tp.topic == topic}
        if mine:
            await self._thread.commit_offsets(self.lease, mine)
        return sum(self.state_of(self.partitions[tp]).lag_records or 0 for tp in mine)

    def _pass(self, positions: Mapping[TP, int]) -> None:
        partitions = cast("Mapping[TP, Partition]", self.partitions)
        for tp, position in positions.items():
            partition = partitions.get(tp)
            if partition is not None and position > partition.next_arrival:  # at every fetch, and nearly never
                partition.passed(position)

    async def highwaters(self, *partitions: TP) -> Mapping[TP, int]:
        """Where what is committed ends. Faust asks when it is about to compare its tables with it."""
        ends = await super().highwaters(*partitions)
        self._tables.drop_beyond(ends)
        return ends

    # assignment

    async def perform_seek(self) -> None:
        """Faust calls it when tables are recovered: starts the partitions from what is committed."""
        lease = self.lease
        tables = self._tables
        # Groups without a table are dealt out by aiokafka, which knows nothing of `assignor.KnownPartitions`.
        known = [tp for tp in self.assignment() if tp.partition < self.app.conf.topic_partitions]
        restored = await self._thread.restore([tp for tp in known if not tables.holds(tp)])
        if lease is None or restored.lease is not lease or lease is not self.lease:
            return  # another rebalance: it comes here again
        by_stage: dict[int, tuple[BatchStage, dict[batch.TP, tuple[Partition, Committed]]]] = {}
        for tp, committed in restored.committed.items():
            entry = self._transport.stages.get(tp.topic)
            if entry is None:
                self._seeked.add(tp)
                self._read_offset[tp] = committed.offset or None
                if committed.offset:
                    self._committed_offset[tp] = committed.offset
            elif (mine := ours(tp)) not in self.partitions:
                bounds, most = entry.bounds, self.app.conf.broker_max_poll_records
                start, wake = restored.start[tp], self._thread.wake
                partition = Partition(mine, entry.stage, committed, start, bounds, most, wake, self.earlier)
                by_stage.setdefault(id(entry.stage), (entry.stage, {}))[1][mine] = partition, committed
                self.commits.begin(mine, committed)
        for stage, assigned in by_stage.values():
            self._owned.begin(stage, assigned)
        self._thread.wake()

    # rebalance and stop

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Finishes or drops what is in flight and commits, before Faust forgets the partitions."""
        self.stop_flow()
        await self._end_partitions()
        self._seeked.clear()
        self.lease = None
        self.waits.gone()
        await super().on_partitions_revoked(revoked)

    async def wait_empty(self) -> None:
        """Also the way of an orderly stop: the stages end before the tables close."""
        await self._end_partitions()
        await super().wait_empty()

    async def _end_partitions(self) -> None:
        """Bounded by half the rebalance timeout: others wait for us with the join."""
        await self._owned.end(self.commits, self.app.conf.broker_rebalance_timeout * REVOKING_SHARE)

    # commits

    async def force_commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:
        """The commit tick: plain agents by their acks, batch stages by their low watermark."""
        self.commits.refresh_now_and_then()
        plain = await super().force_commit(topics, start_new_transaction)
        batches = await self.commits.commit_partitions(
            [tp for tp in self.partitions if topics is None or tp in topics or tp.topic in topics]
        )
        return plain or batches

    async def _commit_offsets(self, offsets: Mapping[TP, int], start_new_transaction: bool = True) -> bool:
        """Plain agents. Faust's own counts an offset as committed even when the commit failed."""
        assigned = self.assignment()
        mine = {tp: offset for tp, offset in offsets.items() if tp in assigned}
        if not mine:
            return False
        await self.app.producer.flush()
        if not await self._commit(mine):
            return False
        self._committed_offset.update(mine)
        self.app.monitor.on_tp_commit(mine)
        return True

    async def verify_all_partitions_active(self) -> None:
        """Faust's livelock alarm knows neither pauses nor batches; `state_of` is what health looks at."""

    # figures

    def state_of(self, partition: Partition) -> PartitionState:
        """Figures of an owned partition."""
        try:
            end = self.highwater(theirs(partition.tp))
        except IllegalStateError:
            end = None
        return partition.state(end)
