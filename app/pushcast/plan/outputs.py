"""What PLAN writes, and what its acknowledgements complete.

A source record is done only when every output that it caused, and then its planned record, is acknowledged by Kafka.
Callers await the outbox's room first; nothing here blocks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

from pushcast.model.clock import Clock
from pushcast.model.errors import InvalidInput
from pushcast.model.words import Lane, Outcome, Platform, Reason, Source
from pushcast.observe.tracing import BatchSpans, PlannedBatch
from pushcast.plan.carried import Carried
from pushcast.plan.entry import Entry, PlannedSlot
from pushcast.plan.tenure import PlanTenure
from pushcast.plan.window import Window
from pushcast.stream.batch import Record
from pushcast.stream.callbacks import Guarded
from pushcast.stream.edge import Count, Edge
from pushcast.stream.receipts import EndOfNote, SourcePlace, receipt_of
from pushcast.wire import topics
from pushcast.wire.answers.counted import Counted, account_of, encode_counted
from pushcast.wire.answers.planned_writer import planned_of
from pushcast.wire.answers.receipts import encode_receipt
from pushcast.wire.schemas import NEWEST_GENERATION
from pushcast.wire.waiting.held import Held, held_headers

if TYPE_CHECKING:
    from pushcast.stream.batch import Batch
    from pushcast.stream.ports import Barrier, Outbox

#: Entries of one planned record: with ids of 256 bytes it stays far below the topic's 1 MiB.
MAX_PLANNED_ROWS = 1000

Refused = tuple[Record, InvalidInput]


class PlanOutputs:
    """One lane's writer. `count` is told (counter, word, how many)."""

    def __init__(
        self,
        outbox: Outbox,
        lane: Lane,
        clock: Clock,
        count: Count,
        edge: Edge,
        guarded: Guarded,
        schema_generation: int = NEWEST_GENERATION,
        *,
        carried: Carried,
        batch_spans: BatchSpans | None = None,
    ) -> None:
        """`batch_spans`: of sampled events; None: nobody traces."""
        self._batch_spans = batch_spans
        self._carried = carried
        self._generation = schema_generation
        self.edge = edge
        self._guarded = guarded
        self._outbox = outbox
        self._lane = lane
        self._clock = clock
        self._count = count
        self._keep_topic = topics.keep(lane)
        self._send_topics = {str(platform): topics.send(platform, lane) for platform in Platform}

    def dead_letters(self, tenure: PlanTenure, batch: Batch, refused: Sequence[Refused]) -> None:
        """Records that no retry can mend, with the reason; each is done when its dead letter is acknowledged."""
        for record, error in refused:
            self.edge.bury(record, error, partial(self._finish, tenure, batch, [record.offset]))

    def rejected(self, tenure: PlanTenure, entry: Entry, record: Record, error: InvalidInput) -> None:
        """Ends what the keeper let go and nobody can plan: a dead letter, then a receipt that says why."""
        self.edge.bury(record, error, partial(self.nothing, tenure, [(entry, Outcome.REJECTED, error.reason)]))

    def forward(self, tenure: PlanTenure, batch: Batch, record: Record, right: int) -> None:
        """Moves a record to the partition of its key; done when it is there."""
        self.edge.forward(record, right, partial(self._finish, tenure, batch, [record.offset]))

    def nothing(self, tenure: PlanTenure, entries: Sequence[tuple[Entry, Outcome, str]]) -> None:
        """Ends notifications with one receipt each, which the planned record counts as `other`."""
        if not entries:
            return
        now_ms = self._clock.now_ms()
        barrier = self._outbox.barrier()
        for entry, outcome, reason in entries:
            if entry.note is None:
                raise ValueError("this entry is in its windows already")
            account = SourcePlace(self._lane, tenure.source, tenure.number, entry.offset)
            end = EndOfNote(outcome, reason, now_ms, entry.provider_id)
            receipt = receipt_of(entry.note, account, end)
            entry.other, entry.reason = 1, reason
            entry.open += 1
            entry.note = None
            value, key = encode_receipt(receipt, self._generation), receipt.user.encode()
            self._outbox.put(barrier, topics.RECEIPT, tenure.number, value, key, tenure.origin)
            self._count("suppressed", reason, 1)
        barrier.on_acked(partial(self._acknowledged, tenure, [entry for entry, _, _ in entries]))

    def duplicates(self, tenure: PlanTenure, entries: Sequence[Entry]) -> None:
        """Notifications seen before: planned to nothing, without a receipt. An entry may say a closer reason."""
        for entry in entries:
            entry.reason = entry.reason or Reason.DUPLICATE
            entry.note = None
            self._count("suppressed", entry.reason, 1)
        self._complete(tenure, entries)

    def held(self, tenure: PlanTenure, entries: Sequence[tuple[Entry, Record, Held, Reason]]) -> None:
        """Notifications that wait go to the keeper, as they came; each is one planned row without deliveries."""
        for entry, record, held, reason in entries:
            if entry.note is None:
                raise ValueError("this entry is in its windows already")
            self.hold(tenure, entry, record, held, entry.note.trace, reason)

    def hold(
        self,
        tenure: PlanTenure,
        entry: Entry,
        record: Record,
        held: Held,
        trace: str | None,
        reason: Reason = Reason.SCHEDULED,
        *,
        lets_go: bool = True,
    ) -> None:
        """Gives a notification, or what of it is not due, to the keeper. `lets_go`: none of it is planned now."""
        if entry.note is not None:
            held = self._carried.marked(held, entry.note)
            if entry.note.broadcast is not None:
                held = held._replace(broadcast=entry.note.broadcast.place)
        headers = held_headers(tenure.origin, record.offset, held, trace)
        entry.hold(reason)
        entry.open += 1
        if lets_go:
            entry.note = None
        barrier = self._outbox.barrier()
        self._outbox.put(barrier, self._keep_topic, tenure.number, record.value, record.key, headers)
        self._count("held", reason, 1)
        barrier.on_acked(partial(self._acknowledged, tenure, [entry]))

    def resumed(self, tenure: PlanTenure, entries: Sequence[Entry]) -> None:
        """Notifications of which a predecessor wrote all that there is to write: only the planned record is missing."""
        for entry in entries:
            entry.note = None
        self._complete(tenure, entries)

    def known(self, tenure: PlanTenure, batch: Batch, offsets: Sequence[int]) -> None:
        """Notifications that a predecessor has planned."""
        if offsets:
            self._finish(tenure, batch, offsets)

    def window(self, tenure: PlanTenure, window: Window) -> None:
        """The batch that a window closed into."""
        barrier = self._outbox.barrier()
        topic = self._send_topics[window.platform]
        value = window.encode(self._lane, tenure.source, self._generation)
        self._outbox.put(barrier, topic, tenure.number, value, None, tenure.origin)
        barrier.on_acked(partial(self._acknowledged, tenure, window.entries))
        if self._batch_spans is not None:
            barrier.on_acked(partial(self._trace, self._batch_spans, tenure.source, window, self._clock.now_ms()))
        self._count("batches", window.platform, 1)
        self._count("targets", window.platform, window.targets)

    def _trace(self, write: BatchSpans, source: Source, window: Window, began_at: int) -> None:
        topic = topics.notification(self._lane) if source is Source.NOTIFICATION else topics.due(self._lane)
        batch = PlannedBatch(topic, window.platform, window.targets, began_at, self._clock.now_ms())
        write(batch, window.traces())

    def _acknowledged(self, tenure: PlanTenure, entries: Sequence[Entry]) -> None:
        complete: list[Entry] = []
        for entry in entries:
            entry.open -= 1
            if not entry.open:
                complete.append(entry)
        self._complete(tenure, complete)

    def _complete(self, tenure: PlanTenure, entries: Sequence[Entry]) -> None:
        if entries and not tenure.complete:
            # One planned record for everything that this turn of the loop acknowledges.
            asyncio.get_running_loop().call_soon(self._guarded, partial(self._settle, tenure))
        tenure.complete += entries

    def _settle(self, tenure: PlanTenure) -> None:
        """States what was planned; then the source records are done."""
        entries, tenure.complete = iter(tenure.complete), []
        now_ms = self._clock.now_ms()
        while chunk := list(islice(entries, MAX_PLANNED_ROWS)):
            value = planned_of(
                self._lane, [entry.planned() for entry in chunk], now_ms, self._generation, tenure.source
            )
            barrier = self._outbox.barrier()
            for entry in chunk:
                if entry.slot is not None and not entry.is_held:
                    self._tell(tenure, barrier, entry, entry.slot, now_ms)
            self._outbox.put(barrier, topics.PLANNED, tenure.number, value, None, tenure.origin)
            barrier.on_acked(partial(self._planned, tenure, chunk))

    def _tell(self, tenure: PlanTenure, barrier: Barrier, entry: Entry, slot: PlannedSlot, now_ms: int) -> None:
        """How many deliveries there are of a notification with a slot: when all of them failed, it comes back."""
        account = account_of(self._lane, tenure.number, tenure.source, entry.offset)
        planned = slot.earlier + sum(entry.counts)
        counted = Counted(slot.notification_id, slot.app, slot.klass, account, now_ms, planned=planned)
        self._outbox.put(barrier, topics.COUNTED, tenure.number, encode_counted(counted), slot.user.encode())

    def _planned(self, tenure: PlanTenure, entries: Sequence[Entry]) -> None:
        by_batch: dict[Batch, list[int]] = {}
        for entry in entries:
            offsets = by_batch.get(entry.batch)
            if offsets is None:
                offsets = by_batch[entry.batch] = []
            offsets.append(entry.offset)
        for batch, offsets in by_batch.items():
            self._finish(tenure, batch, offsets)

    def _finish(self, tenure: PlanTenure, batch: Batch, offsets: Sequence[int]) -> None:
        batch.done_many(offsets)
        tenure.pending.ended(len(offsets))
