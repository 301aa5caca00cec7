"""What SETTLE writes: batches for the senders, parked ones carried over, receipts of what ended, dead letters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from pushcast.model.batch import Message, SendBatch
from pushcast.model.clock import Clock
from pushcast.model.quiet import QuietTerms
from pushcast.model.words import Lane, Outcome, Platform, Reason
from pushcast.settle.decide import CANCELLED, EXPIRED, End, end_of, left_of, settle
from pushcast.settle.recheck import Recheck
from pushcast.stream.batch import Record
from pushcast.stream.ports import Barrier, Outbox
from pushcast.stream.receipts import Receipts, ReceiptWriters, SentFrom
from pushcast.wire import topics
from pushcast.wire.control.cancel_state import CancelState
from pushcast.wire.headers import EPOCH, FENCE, ORIGIN, Headers
from pushcast.wire.schemas import NEWEST_GENERATION
from pushcast.wire.sending.batches import encode_batch
from pushcast.wire.sending.parked import OWN as PARKED_OWN
from pushcast.wire.sending.parked import Why, parking_headers
from pushcast.wire.sending.retries import APP, CAME_FROM, DUE_AT, LANE, PARKED_FOR, PLATFORM, SENT_FROM

#: What happened, by (name, word): ("settled", platform), ("carried", platform), ("ended", reason),
#: ("known", platform), and what the edge counts.
Counters = Counter[tuple[str, str]]
#: Whether a message of this platform and lane must not be sent now.
Holds = Callable[[Message, Platform, Lane], bool]

_WRITER = frozenset({CAME_FROM, ORIGIN, EPOCH, FENCE})
_OF_PARKING = frozenset({APP, PLATFORM, LANE, PARKED_FOR, DUE_AT})
_NOT_SENT = _WRITER | PARKED_OWN | {DUE_AT, SENT_FROM}


class Put(NamedTuple):
    """`puts`: records. `sent_bytes`: of what went to a sender; `carried_bytes`: to the end of the partition again."""

    puts: int
    sent_bytes: int = 0
    carried_bytes: int = 0


def nothing_holds(message: Message, platform: Platform, lane: Lane) -> bool:
    """A record that is due is sent whatever is paused: its sender parks it."""
    return False


class SettleOutputs:
    """Puts what becomes of a record; blocks never. `origin`: headers of whoever owns the record's partition."""

    def __init__(
        self,
        outbox: Outbox,
        clock: Clock,
        counters: Counters,
        cancels: CancelState,
        schema_generation: int = NEWEST_GENERATION,
        quiet_spread_ms: int = 0,
        recheck: Recheck | None = None,
    ) -> None:
        """Without `recheck` nobody asks whether a device is still there."""
        self._recheck = recheck
        self._receipts = Receipts(outbox)
        self._writers = ReceiptWriters(schema_generation)
        self._quiet_spread_ms = quiet_spread_ms
        self._cancels = cancels
        self._outbox = outbox
        self._clock = clock
        self._counters = counters

    def put(
        self,
        barrier: Barrier,
        record: Record,
        batch: SendBatch,
        doubtful: bool,
        origin: Headers,
        there: Set[bytes] = frozenset(),
        holds: Holds = nothing_holds,
    ) -> Put:
        """`batch`, `doubtful`: what the record holds (`decide.read`). `there`: deliveries that a predecessor has passed
        on or ended already."""
        platform, lane = Platform(batch.platform), Lane(batch.lane)
        came_from = (CAME_FROM, f"{record.topic}|{record.partition}|{record.offset}".encode())
        own = [*origin, came_from]
        left = left_of(batch, there)
        if left is not batch:
            self._counters["known", platform] += batch.target_count - left.target_count
        now_ms = self._clock.now_ms()
        settled = settle(
            left,
            now_ms,
            lambda message: holds(message, platform, lane),
            lambda message: self._cancels.among(record.partition, message, range(len(message.targets)), now_ms),
            self._quiet_spread_ms,
            partial(self._gone, record, now_ms),
            partial(self._quiet_terms, record),
        )
        puts = 0
        ended = [(EXPIRED, each) for each in settled.expired] + [(CANCELLED, each) for each in settled.cancelled]
        for end, message in (*ended, *settled.ended):
            self._end(barrier, record, batch, message, end_of(end, doubtful), own)
            puts += len(message.targets)
        sent_bytes = carried_bytes = 0
        if settled.again is not None:
            value = record.value if settled.again is batch else encode_batch(settled.again)
            headers = [header for header in record.headers if header[0] not in _NOT_SENT]
            self._outbox.put(barrier, topics.send(platform, lane), record.partition, value, None, [*headers, *own])
            self._counters["settled", platform] += settled.again.target_count
            puts, sent_bytes = puts + 1, len(value or b"")
        if settled.held is not None:
            value = record.value if settled.held is batch else encode_batch(settled.held)
            headers = [header for header in record.headers if header[0] not in _WRITER]
            self._outbox.put(barrier, topics.PARKED, record.partition, value, None, [*headers, *own])
            self._counters["carried", platform] += settled.held.target_count
            puts, carried_bytes = puts + 1, len(value or b"")
        if settled.quiet is not None:
            puts += self._park_quiet(barrier, record, settled.quiet, settled.quiet_until_ms, own)
        return Put(puts, sent_bytes, carried_bytes)

    def _gone(self, record: Record, now_ms: int, message: Message) -> Mapping[int, End]:
        """Targets whose device has gone, has another token, or whose user wants it no more, while the record waited."""
        return {} if self._recheck is None else self._recheck.ended(record.partition, message, now_ms, record.timestamp)

    def _quiet_terms(self, record: Record, message: Message) -> Sequence[QuietTerms | None] | None:
        return None if self._recheck is None else self._recheck.quiet_terms(record.partition, message)

    def _park_quiet(self, barrier: Barrier, record: Record, batch: SendBatch, until_ms: int, own: Headers) -> int:
        """Keeps what quiet hours stop aside until they are over, by app; returns how many records."""
        by_app: dict[str, list[Message]] = {}
        for message in batch.messages:
            by_app.setdefault(message.app, []).append(message)
        carried = [header for header in record.headers if header[0] not in _WRITER | _OF_PARKING]
        for app, messages in by_app.items():
            value = encode_batch(replace(batch, messages=messages))
            parking = parking_headers(app, batch.platform, batch.lane, Why.QUIET_HOURS, until_ms)
            headers = [*carried, *parking, *own]
            self._outbox.put(barrier, topics.PARKED, record.partition, value, None, headers)
            self._counters["carried", batch.platform] += sum(len(message.targets) for message in messages)
        return len(by_app)

    def _end(
        self,
        barrier: Barrier,
        record: Record,
        batch: SendBatch,
        message: Message,
        end: tuple[Outcome, Reason],
        own: Headers,
    ) -> None:
        outcome, reason = end
        targets, now_ms = message.targets, self._clock.now_ms()
        origin = SentFrom(batch.platform, batch.lane, batch.run, batch.source, record.partition)
        writer = self._writers.of(origin, message)
        write = self._receipts.writing(barrier, record.partition, message, writer, own)
        for index in range(len(targets)):
            write(index, outcome, reason, None, None, now_ms)
        self._counters["ended", reason] += len(targets)
