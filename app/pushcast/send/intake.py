"""What comes in: send records become open records and jobs, while their partition has room for more targets."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Hashable, Mapping
from functools import partial

from pushcast.handover.exact import Known
from pushcast.model.batch import Message, SendBatch
from pushcast.model.clock import Clock
from pushcast.model.words import Lane, Platform
from pushcast.providers.expiry import last_expiry
from pushcast.providers.port import Provider, TakesWordings
from pushcast.send.admit import admit
from pushcast.send.exact import left_of
from pushcast.send.figures import Figures
from pushcast.send.records import Job, OpenRecord, Parcel, SendTenure
from pushcast.stream.batch import TP, Batch, Record
from pushcast.stream.edge import Edge
from pushcast.stream.flood import FloodGuard
from pushcast.stream.ports import Outbox
from pushcast.stream.receipts import ReceiptWriters, SentFrom
from pushcast.stream.tenure import Tenures
from pushcast.wire.answers import ledger
from pushcast.wire.sending.retries import Round, round_of

logger = logging.getLogger(__name__)

#: Targets decoded before the loop gets a turn: 1 ms when they share a message, 15 ms when each has its own.
TARGETS_PER_TURN = 500


class SendIntake:
    """Of one stage. `queue` takes each job; `fed` is called when a turn of decoding is over.

    Not thread safe: it belongs to the event loop.
    """

    def __init__(
        self,
        *,
        platform: Platform,
        lane: Lane,
        group: str,
        providers: Mapping[str, Provider],
        key_of: Callable[[str], Hashable],
        outbox: Outbox,
        clock: Clock,
        figures: Figures,
        exact: Known,
        tenures: Tenures[SendTenure],
        max_open_targets: int,
        now_or_never_seconds: float,
        schema_generation: int,
        flood: FloodGuard | None,
        queue: Callable[[Job], None],
        fed: Callable[[], None],
        guarded: Callable[[Callable[[], None]], None],
    ) -> None:
        self._platform = platform
        self._lane = lane
        self._group = group
        self._providers = providers
        self._mixed = frozenset(
            app
            for app, provider in providers.items()
            if isinstance(provider, TakesWordings) and provider.takes_wordings
        )
        self._key_of = key_of
        self._clock = clock
        self._figures = figures
        self._exact = exact
        self._tenures = tenures
        self._max_open_targets = max_open_targets
        self._now_or_never_ms = round(now_or_never_seconds * 1000)
        self._edge = Edge("send", outbox, self._count, flood)
        self._queue = queue
        self._fed = fed
        self._guarded = guarded
        self._feed_due = False
        self._writers = ReceiptWriters(schema_generation)

    def add(self, batch: Batch) -> None:
        """Takes records over; never fails."""
        tenure = self._tenures.of(TP(batch.topic, batch.partition))
        tenure.backlog.extend([(batch, record) for record in batch.records])
        self.feed_soon()

    def full(self) -> list[int]:
        """Partitions whose open targets keep further records out."""
        return [tenure.tp.partition for tenure in self._tenures if tenure.backlog and not self._has_room(tenure)]

    def feed_soon(self) -> None:
        """Decodes, on a later turn of the loop, what there is room for."""
        if not self._feed_due and any(tenure.backlog for tenure in self._tenures):
            self._feed_due = True
            asyncio.get_running_loop().call_soon(self._guarded, self._feed)

    def _has_room(self, tenure: SendTenure) -> bool:
        return tenure.targets < self._max_open_targets

    def _feed(self) -> None:
        """Decodes some records, of each partition in turn, while it has room for their targets."""
        self._feed_due = False
        targets = 0
        ready = True
        while ready and targets < TARGETS_PER_TURN:
            ready = False
            for tenure in self._tenures:
                if tenure.backlog and self._has_room(tenure):
                    ready = True
                    targets += self._admit(tenure, *tenure.backlog.popleft())
        if ready:
            self.feed_soon()
        self._fed()

    def _admit(self, tenure: SendTenure, batch: Batch, record: Record) -> int:
        if batch.lost:
            return 0
        try:
            if not tenure.fences.counts(record.headers, record.offset, self._void):
                batch.done_many((record.offset,))
                return 0
            if tenure.copies.leaves_out(tenure.tp, record, self._count):
                batch.done_many((record.offset,))
                return 0
            send_batch = admit(record.value, self._platform, self._lane, record.headers, self._mixed)
            earlier = round_of(record.headers)
        except Exception as error:
            refusal = self._edge.refusal(record, error)
            self._edge.note(tenure.tp, 0, (refusal,))
            self._edge.bury(record, refusal, partial(batch.done_many, (record.offset,)))
            return 0
        self._edge.note(tenure.tp, 1)
        return self._take(tenure, batch, record, send_batch, earlier)

    def _void(self) -> None:
        """A planner wrote it that had lost its partition: its successor planned it."""
        self._figures.void[self._platform, self._lane] += 1

    def _take(self, tenure: SendTenure, batch: Batch, source: Record, send_batch: SendBatch, earlier: Round) -> int:
        count, offset = send_batch.target_count, source.offset
        have = self._exact.begin(tenure.tp, offset)
        if have:
            left = sum(len(left_of(message, have)) for message in send_batch.messages)
            self._figures.skipped[self._platform, self._lane] += count - left
            count = left
        if not count:
            batch.done_many((offset,))
            return 0
        seen_at = send_batch.first_seen_at
        record = OpenRecord(
            tenure,
            batch,
            offset,
            count,
            ledger.prefix(self._group, offset),
            headers=source.headers,
            round_=earlier,
            run=max(send_batch.run, earlier.run),
            first_seen_at=max(0, source.timestamp) if seen_at is None else seen_at,
            taken_at=self._clock.monotonic_seconds(),
            size_bytes=len(source.value or b""),
            source=send_batch.source,
        )
        tenure.add(record)
        batch.weigh(offset, count)
        origin = SentFrom(str(self._platform), str(self._lane), record.run, record.source, batch.partition)
        last = last_expiry(self._platform, self._clock.now_ms())
        for message in send_batch.messages:
            left_over = left_of(message, have)
            if left_over:
                writer = self._writers.of(origin, message)
                provider = self._providers.get(message.app)
                parcel = Parcel(record, message, self._key_of(message.app), provider, writer, self._now_or_never_ms)
                if max(message.targets.expires_at) > last:
                    self._count_cut(message, last)
                self._queue(Job(parcel, left_over, 0, earlier.doubtful))
        return count

    def _count_cut(self, message: Message, last: int) -> None:
        """An expiry beyond what the provider takes is cut to that, and said."""
        expires_at = message.targets.expires_at
        if not self._figures.expiries_cut[self._platform, self._lane]:
            logger.warning(
                "%s: expiries beyond what %s takes are cut (app %s)", self._group, self._platform, message.app
            )
        self._figures.expiries_cut[self._platform, self._lane] += sum(at > last for at in expires_at)

    def _count(self, name: str, reason: str, by: int) -> None:
        self._figures.edge[self._lane, name, reason] += by
