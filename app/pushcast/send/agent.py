"""Glue of SEND: send records in, messages to providers, receipts out. One stage per (platform, lane).

A record is done only when every target has an outcome that Kafka has acknowledged. Nothing here waits per target:
targets travel in messages, small messages together, results in lists.

Order: messages of one app are handed over in the order of their records, and so are the targets of one device, as
long as no try fails and the budget does not split a message. Answers, receipts and retries come in any order.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Callable, Hashable, Mapping, Sequence, Set
from functools import partial
from random import Random

from pushcast.kafka.batch import TP, Committed, Stage
from pushcast.kafka.handover import standing
from pushcast.kafka.handover.fences import Fences, author_of
from pushcast.kafka.handover.ledgers import Ledgers
from pushcast.kafka.ports import Batch, CallLater, Fatal, Outbox, Record, TimerHandle
from pushcast.model.batch import Message, SendBatch
from pushcast.model.clock import Clock
from pushcast.model.errors import InvalidInput
from pushcast.model.words import Lane, Platform
from pushcast.providers.port import Disposition, ManyAtOnce, Part, Provider, Result
from pushcast.send.admit import admit
from pushcast.send.aside import Aside
from pushcast.send.budget import Budget
from pushcast.send.decide import DOUBTFUL, EXPIRED, NOT_CONFIGURED, Policy
from pushcast.send.exact import left_of
from pushcast.send.figures import Figures
from pushcast.send.outcomes import Outcomes, Share
from pushcast.send.records import Job, OpenRecord, Parcel
from pushcast.wire import ledger
from pushcast.wire.dead_letters import dead_letter
from pushcast.wire.receipt_writer import ReceiptWriter
from pushcast.wire.retries import Round, round_of

logger = logging.getLogger(__name__)

#: Smallest part that a message is split into by the budget, in targets.
LEAST_PART = 100
#: Targets decoded before the loop gets a turn: 1 ms when they share a message, 15 ms when each has its own.
TARGETS_PER_TURN = 500
_MAX_WRITERS = 1024


def group_of(platform: Platform, lane: Lane) -> str:
    """Consumer group of the senders of a platform and lane; it stands in the ledger header of every receipt."""
    return f"pushcast-send-{platform}-{lane}"


class SendStage(Stage):
    """See the module. Not thread safe: it belongs to the event loop."""

    def __init__(
        self,
        *,
        platform: Platform,
        lane: Lane,
        providers: Mapping[str, Provider],
        outbox: Outbox,
        clock: Clock,
        budget: Budget,
        policy: Policy,
        max_open_targets: int,
        quiesce_seconds: float,
        random: Random,
        figures: Figures,
        fatal: Fatal,
        call_later: CallLater | None = None,
        ledgers: Ledgers | None = None,
    ) -> None:
        """Without `ledgers` a new owner sends again whatever its predecessor had not committed."""
        self.platform = platform
        self.lane = lane
        self.figures = figures
        self.budget = budget
        self._group = group_of(platform, lane)
        self._providers = providers
        self._outbox = outbox
        self._clock = clock
        self._quiesce_seconds = quiesce_seconds
        self._fatal = fatal
        self._call_later = call_later
        self._ledgers = ledgers
        ladder = policy.ladder
        aside = None if ladder is None else Aside(outbox, ladder, random, platform, lane, self._group)
        self._outcomes = Outcomes(outbox, clock, policy, random, platform, lane, figures, self._on_acked, aside)
        self._max_open_targets = max_open_targets
        self._backlog: dict[int, deque[tuple[Batch, Record]]] = {}  # by partition, not decoded yet, oldest first
        self._open: dict[int, dict[int, OpenRecord]] = {}  # partition -> offset -> record
        self._open_targets: Counter[int] = Counter()  # by partition
        self._fences: dict[int, Fences] = {}  # by partition
        self._waiting: dict[Hashable, deque[Job]] = {}  # budget key -> not handed over, oldest first
        self._leaving: dict[tuple[Hashable, int], list[Job]] = {}  # within one call: to be started at its end
        self._running: dict[Job, asyncio.Task[None]] = {}
        self._later: dict[Job, TimerHandle] = {}  # to be tried again; they keep their budget
        self._arrived: list[tuple[Job, Sequence[Result]]] = []
        self._returned: list[Job] = []
        self._feed_due = False
        self._flush_due = False
        self._pumping = False
        self._pump_again = False
        self._writers: dict[tuple[str, str, bool, int, int], ReceiptWriter] = {}
        self._progress: asyncio.Event = asyncio.Event()
        for app in providers:
            budget.register(self._key(app))
        budget.subscribe(self._pump)

    def in_flight(self, app: str) -> int:
        """Deliveries of an app at its provider, or whose outcome Kafka has not acknowledged."""
        return self.budget.held_by(self._key(app))

    def waiting(self) -> int:
        """Decoded targets that wait for the budget: at most `max_open_targets` and one record a partition."""
        return sum(len(job.indices) for queue in self._waiting.values() for job in queue)

    async def handle(self, batch: Batch) -> None:
        """Takes the records over and returns; they are decoded and done later."""
        await self._outbox.room()
        # From here on nothing may fail: the transport would hand over again what is taken already.
        self._backlog.setdefault(batch.partition, deque()).extend([(batch, record) for record in batch.records])
        self._feed_soon()

    async def assigned(self, committed: dict[TP, Committed]) -> None:
        """Forgets what was open before: Kafka hands it over again. Learns what predecessors brought to an end."""
        for tp, at in committed.items():
            self._fences[tp.partition] = Fences(standing.decode(at.metadata).origins)
            self._backlog.pop(tp.partition, None)
            self._drop(list(self._open.pop(tp.partition, {}).values()))
        if self._ledgers is not None:
            await self._ledgers.take_over(self.work, committed)

    def commit_metadata(self, tp: TP, offset: int) -> str:
        """The fences below the offset, and from where on the outcomes of what is not done are found."""
        fences = self._fences.get(tp.partition)
        origins = {} if fences is None else fences.below(offset)
        if self._ledgers is None:
            return standing.encode(standing.Standing(origins=origins))
        return self._ledgers.metadata(tp, offset, origins)

    async def revoking(self, partitions: set[TP]) -> None:
        """Begins no further record, finishes those begun within the quiesce bound, and drops the rest.

        A record that is half sent is finished rather than dropped: the next owner would send all of it.
        """
        for tp in partitions:
            self._backlog.pop(tp.partition, None)
        mine = [self._open.get(tp.partition, {}) for tp in partitions]
        self._drop([record for records in mine for record in records.values() if not record.started])
        try:
            async with asyncio.timeout(self._quiesce_seconds):
                while any(mine):
                    self._progress.clear()
                    await self._progress.wait()
        except TimeoutError:
            logger.warning("%s: %d records not finished in time", self._group, sum(map(len, mine)))
        finally:  # also when the transport's own bound cancels the wait
            for records in mine:
                self._drop(list(records.values()))

    async def close(self) -> None:
        """Drops everything and waits for the cancelled sends. The providers may be closed afterwards."""
        tasks = list(self._running.values())
        self._backlog.clear()
        for records in self._open.values():
            self._drop(list(records.values()))
        self.budget.unsubscribe(self._pump)
        await asyncio.gather(*tasks, return_exceptions=True)

    def _key(self, app: str) -> Hashable:
        # Apps that are not configured share one place: their names come from outside.
        return (app if app in self._providers else "", self.platform, self.lane)

    # What comes in

    def _feed_soon(self) -> None:
        if not self._feed_due:
            self._feed_due = True
            asyncio.get_running_loop().call_soon(self._guarded, self._feed)

    def _feed(self) -> None:
        """Decodes some records, of each partition in turn, while it has room for their targets."""
        self._feed_due = False
        targets = 0
        ready = True
        while ready and targets < TARGETS_PER_TURN:
            ready = False
            for partition, backlog in self._backlog.items():
                if backlog and self._open_targets[partition] < self._max_open_targets:
                    ready = True
                    targets += self._admit(*backlog.popleft())
        if ready:
            self._feed_soon()
        self._pump()

    def _admit(self, batch: Batch, record: Record) -> int:
        if batch.lost:
            return 0
        try:
            if not self._counts(batch.partition, record):
                batch.done_many((record.offset,))
                return 0
            send_batch = admit(record.value, self.platform, self.lane)
            earlier = round_of(record.headers)
        except InvalidInput as error:
            self._bury(batch, record, error)
            return 0
        return self._take(batch, record, send_batch, earlier)

    def _counts(self, partition: int, record: Record) -> bool:
        """False for fences, and for what a planner wrote that had lost its partition: its successor planned it."""
        fences = self._fences.get(partition)
        if fences is None:
            fences = self._fences[partition] = Fences()
        author = author_of(record.headers)
        if fences.admit(author, record.offset):
            return True
        if author is not None and not author.fence:
            self.figures.void[self.platform, self.lane] += 1
        return False

    def _take(self, batch: Batch, source: Record, send_batch: SendBatch, earlier: Round) -> int:
        count, offset = send_batch.target_count, source.offset
        have: Set[bytes] = frozenset()
        if self._ledgers is not None:
            have = self._ledgers.begin(TP(batch.topic, batch.partition), offset)
            if have:
                count = sum(len(left_of(message, have)) for message in send_batch.messages)
        if not count:
            batch.done_many((offset,))
            return 0
        seen_at = send_batch.first_seen_at
        record = OpenRecord(
            batch,
            offset,
            count,
            ledger.prefix(self._group, offset),
            headers=source.headers,
            round_=earlier,
            run=max(send_batch.run, earlier.run),
            first_seen_at=max(0, source.timestamp) if seen_at is None else seen_at,
        )
        self._open.setdefault(batch.partition, {})[offset] = record
        self._open_targets[batch.partition] += count
        batch.weigh(offset, count)
        for message in send_batch.messages:
            left = left_of(message, have)
            if not left:
                continue
            key = self._key(message.app)
            writer = self._writer(message, record.run, batch.partition)
            parcel = Parcel(record, message, key, self._providers.get(message.app), writer)
            queue = self._waiting.get(key)
            if queue is None:
                queue = self._waiting[key] = deque()
            queue.append(Job(parcel, left, 0, earlier.doubtful))
        return count

    def _writer(self, message: Message, run: int, partition: int) -> ReceiptWriter:
        dry_run = message.options.dry_run
        key = (message.app, message.klass, dry_run, run, partition)
        writer = self._writers.get(key)
        if writer is None:
            if len(self._writers) >= _MAX_WRITERS:
                self._writers.clear()
            writer = self._writers[key] = ReceiptWriter(
                app=message.app,
                klass=message.klass,
                platform=self.platform,
                lane=self.lane,
                dry_run=dry_run,
                run=run,
                source_partition=partition,
            )
        return writer

    def _bury(self, batch: Batch, record: Record, error: InvalidInput) -> None:
        letter = dead_letter(record, error, stage="send")
        barrier = self._outbox.barrier()
        self._outbox.put(
            barrier,
            letter.topic,
            letter.partition,
            letter.value,
            key=letter.key,
            headers=letter.headers,
            timestamp_ms=letter.timestamp_ms,
        )
        self.figures.dead_letters[self.platform, self.lane, error.reason] += 1
        barrier.on_acked(partial(batch.done_many, (record.offset,)))

    # What goes out

    def _pump(self) -> None:
        """Hands over what the budget allows, one message of each app in turn."""
        if self._pumping:  # a release from within: the loop below goes round once more
            self._pump_again = True
            return
        self._pumping = True
        try:
            moved = True
            while moved or self._pump_again:
                moved = self._pump_again = False
                for key, queue in self._waiting.items():
                    if queue and self._hand_over(key, queue):
                        moved = True
            self._leave()
        finally:
            self._pumping = False

    def _hand_over(self, key: Hashable, queue: deque[Job]) -> bool:
        job = queue[0]
        record = job.parcel.record
        if record.dropped or record.batch.lost:
            queue.popleft()
            return True
        count = len(job.indices)
        granted = self.budget.take(key, count, LEAST_PART)
        if not granted:
            return False
        if granted < count:
            rest = job.indices[granted:]
            job = Job(job.parcel, job.indices[:granted], 0, job.doubtful)
            queue[0].indices = rest
        else:
            queue.popleft()
        record.started = True
        self._send(job)
        return True

    def _send(self, job: Job) -> None:
        """Hands targets to their provider, or ends those that must not go. They hold their budget already."""
        parcel = job.parcel
        now_ms = self._clock.now_ms()
        provider = parcel.provider
        if provider is None:
            self._outcomes.end([(parcel, job.indices, NOT_CONFIGURED)])
            return
        if parcel.earliest_expiry <= now_ms:
            expires_at = parcel.message.targets.expires_at
            late = [target for target in job.indices if expires_at[target] <= now_ms]
            if late:
                self._outcomes.end([(parcel, late, DOUBTFUL if job.doubtful else EXPIRED)])
                job.indices = [target for target in job.indices if expires_at[target] > now_ms]
                if not job.indices:
                    return
        job.open.update(job.indices)
        job.handed_at = now_ms
        # Of one partition only: what is dropped together is cancelled together.
        self._leaving.setdefault((parcel.key, parcel.record.batch.partition), []).append(job)

    def _leave(self) -> None:
        """Starts what `_send` let through."""
        leaving, self._leaving = self._leaving, {}
        for jobs in leaving.values():
            provider = jobs[0].parcel.provider
            assert provider is not None, "what has no provider was ended"
            together = [jobs] if isinstance(provider, ManyAtOnce) else [[job] for job in jobs]
            for some in together:
                task = asyncio.create_task(self._run(some, provider))
                self._running.update(dict.fromkeys(some, task))

    async def _run(self, jobs: list[Job], provider: Provider) -> None:
        parts = [Part(job.parcel.message, job.indices, partial(self._on_results, job)) for job in jobs]
        try:
            if isinstance(provider, ManyAtOnce):
                await provider.send_many(parts)
            else:
                for part in parts:
                    await provider.send(*part)
        except Exception as error:
            # The port promises not to raise: this is a defect, and what it left behind is not known.
            self._fatal(f"{provider.engine} engine of {self.platform}", error)
            return
        except asyncio.CancelledError:
            if all(job.parcel.record.dropped for job in jobs):
                raise
            # Not by us: the provider was closed under way. What has no result is unknown.
        finally:
            for job in jobs:
                del self._running[job]
        self._returned += jobs
        self._flush_soon()

    # What comes back

    def _on_results(self, job: Job, results: list[Result]) -> None:
        self._arrived.append((job, results))
        self._flush_soon()

    def _flush_soon(self) -> None:
        if not self._flush_due:
            self._flush_due = True
            asyncio.get_running_loop().call_soon(self._guarded, self._flush)

    def _flush(self) -> None:
        self._flush_due = False
        arrived, self._arrived = self._arrived, []
        returned, self._returned = self._returned, []
        retries = self._outcomes.settle(arrived)
        for job in returned:
            if job.open and not job.parcel.record.dropped:
                logger.error("%s: a provider returned without %d results", self._group, len(job.open))
                missing = [Result(target, Disposition.UNKNOWN) for target in job.open]
                retries += self._outcomes.settle([(job, missing)])
        for job, delay_seconds in retries:
            call_later = self._call_later or asyncio.get_running_loop().call_later
            self._later[job] = call_later(delay_seconds, partial(self._guarded, partial(self._again, job)))

    def _again(self, job: Job) -> None:
        del self._later[job]
        if job.parcel.record.batch.lost:
            self._release(job.parcel.key, len(job.indices))
        else:
            self._send(job)
            self._leave()

    def _on_acked(self, shares: list[Share]) -> None:
        self._guarded(partial(self._acked, shares))

    def _acked(self, shares: list[Share]) -> None:
        """Kafka has acknowledged outcomes: gives back their budget, completes records that have all theirs."""
        for record, key, count in shares:
            self.budget.release(key, count)
            record.left -= count
            if not record.dropped:
                self._open_targets[record.batch.partition] -= count
            if not record.left:
                mine = self._open.get(record.batch.partition, {})
                if mine.get(record.offset) is record:
                    del mine[record.offset]
                record.batch.done_many((record.offset,))
                self._progress.set()
        if any(self._backlog.values()):
            self._feed_soon()
        self.budget.wake()

    # What is given up

    def _drop(self, records: Sequence[OpenRecord]) -> None:
        """Forgets records: no further target leaves, nothing of theirs is done. Receipts under way still count."""
        if self._arrived:
            self._flush()  # what is answered is answered
        gone = {record for record in records if record.left}
        if not gone:
            return
        for record in gone:
            record.dropped = True
            self._open_targets[record.batch.partition] -= record.left
            mine = self._open.get(record.batch.partition, {})
            if mine.get(record.offset) is record:
                del mine[record.offset]
        for queue in self._waiting.values():
            kept = [job for job in queue if not job.parcel.record.dropped]
            queue.clear()
            queue.extend(kept)
        self.figures.dropped[self.platform, self.lane] += sum(record.left for record in gone)
        for job in [job for job in self._later if job.parcel.record.dropped]:
            self._later.pop(job).cancel()
            self.budget.release(job.parcel.key, len(job.indices))
        for job, task in self._running.items():
            if job.parcel.record.dropped:
                self.budget.release(job.parcel.key, len(job.open))
                job.open.clear()
                task.cancel()
        self.budget.wake()

    def _release(self, key: Hashable, count: int) -> None:
        self.budget.release(key, count)
        self.budget.wake()

    def _guarded(self, step: Callable[[], None]) -> None:
        """The loop only logs what its callbacks raise; here that would leave records open for ever."""
        try:
            step()
        except Exception as error:
            self._fatal(f"{self._group}: a step of the sender failed", error)
