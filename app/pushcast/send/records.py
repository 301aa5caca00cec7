"""What is under way: partitions, send records, their messages, and targets of a message that are tried together."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Sequence
from typing import NamedTuple

from pushcast.handover.copies import Copies
from pushcast.handover.fences import Fences
from pushcast.model.batch import Message
from pushcast.model.words import Source
from pushcast.providers.port import Provider
from pushcast.send.once import last_moments
from pushcast.stream.batch import TP, Batch, Record
from pushcast.stream.tenure import Pending
from pushcast.stream.tracker import RECORD_OVERHEAD_BYTES
from pushcast.wire.answers.receipt_writer import ReceiptWriter
from pushcast.wire.sending.retries import FIRST_ROUND, Round


class OpenRecord:
    """A send record until every target has an acknowledged outcome."""

    __slots__ = (
        "batch",
        "dropped",
        "first_seen_at",
        "headers",
        "ledger_prefix",
        "left",
        "offset",
        "round",
        "run",
        "size_bytes",
        "source",
        "started",
        "taken_at",
        "targets",
        "tenure",
    )

    def __init__(
        self,
        tenure: SendTenure,
        batch: Batch,
        offset: int,
        targets: int,
        ledger_prefix: bytes,
        *,
        headers: Sequence[tuple[str, bytes | None]] = (),
        round_: Round = FIRST_ROUND,
        run: int = 0,
        first_seen_at: int = 0,
        taken_at: float = 0.0,
        size_bytes: int = 0,
        source: int = Source.NOTIFICATION,
    ) -> None:
        self.tenure = tenure
        self.batch = batch
        self.offset = offset
        self.targets = targets
        self.size_bytes = size_bytes  # of its value
        self.left = targets  # without an acknowledged outcome
        self.ledger_prefix = ledger_prefix
        self.headers = headers
        self.round = round_  # what earlier rounds came to
        self.run = run  # of redrives
        self.source = source  # of the account
        self.first_seen_at = first_seen_at  # milliseconds since the epoch
        self.taken_at = taken_at  # monotonic seconds
        self.started = False  # a target may have left, or be on its way into the parked topic
        self.dropped = False  # given up here: Kafka hands it to the next owner

    @property
    def was_refused(self) -> bool:
        """A provider was asked for these deliveries before, and did not take them."""
        return self.round.refused or self.round.rounds > 0

    def weigh(self) -> None:
        """Tells the transport what is left of it: a record whose last target waits for a slow provider holds little."""
        self.batch.weigh(self.offset, self.left, RECORD_OVERHEAD_BYTES + self.size_bytes * self.left // self.targets)


class SendTenure:
    """A tenure of SEND: records of one partition that are not decoded yet, and decoded ones that are not finished."""

    __slots__ = ("backlog", "copies", "fences", "pending", "records", "targets", "tp")

    def __init__(self, tp: TP, fences: Fences) -> None:
        self.tp = tp
        self.fences = fences  # of the partition itself: what a planner writes behind one is void
        self.copies = Copies()  # of what Kafka's clients wrote twice
        self.backlog: deque[tuple[Batch, Record]] = deque()  # not decoded yet, oldest first
        self.records: dict[int, OpenRecord] = {}  # not finished, by offset
        self.targets = 0  # of these records, without an acknowledged outcome
        self.pending = Pending()  # counts these records

    def add(self, record: OpenRecord) -> None:
        """One that was just decoded."""
        self.records[record.offset] = record
        self.targets += record.left
        self.pending.begun()

    def ended(self, record: OpenRecord, count: int) -> bool:
        """Takes acknowledged outcomes off. True when that was the last: the record is forgotten and may be done."""
        record.left -= count
        if not record.dropped:
            self.targets -= count
            if not record.left:
                self._forget(record)
        return not record.left

    def drop(self, record: OpenRecord) -> None:
        """Gives an unfinished record up: Kafka hands it to the next owner."""
        record.dropped = True
        self.targets -= record.left
        self._forget(record)

    def sent_to(self) -> int:
        """The offset behind the last record of which a target may have left without an acknowledged outcome; 0: none
        has."""
        return max((offset + 1 for offset, record in self.records.items() if record.started), default=0)

    def close(self) -> None:
        """What is not decoded yet is not begun any more. The stage finishes or drops the records."""
        self.backlog.clear()

    def _forget(self, record: OpenRecord) -> None:
        del self.records[record.offset]
        self.pending.ended()


class Parcel:
    """One message of a record, with what all its targets share."""

    __slots__ = ("app", "earliest_end", "key", "last_moments", "message", "provider", "record", "writer")

    def __init__(
        self,
        record: OpenRecord,
        message: Message,
        key: Hashable,
        provider: Provider | None,
        writer: ReceiptWriter,
        now_or_never_ms: int = 0,
    ) -> None:
        self.record = record
        self.message = message
        self.app = message.app
        self.key = key  # of the budget
        self.provider = provider
        self.writer = writer
        self.last_moments = last_moments(message, now_or_never_ms)
        self.earliest_end = min(self.last_moments)

    @property
    def may_be_late(self) -> bool:
        """Whether a target may be now or never, so that it must not wait at its provider; False is certain."""
        return self.last_moments is not self.message.targets.expires_at


class Piece(NamedTuple):
    """Some targets of a message, with what the provider may see of its content."""

    message: Message
    indices: list[int]


class Job:
    """Targets of one message that are tried together. `open`: handed to the provider, no result yet."""

    __slots__ = ("doubtful", "handed_at", "indices", "open", "opened", "parcel", "pieces", "probe", "recalled", "tries")

    def __init__(self, parcel: Parcel, indices: list[int], tries: int = 0, doubtful: bool = False) -> None:
        self.parcel = parcel
        self.opened: Message | None = None  # with addresses that were sealed: for the provider alone
        self.pieces: Sequence[Piece] | None = None  # of a content that each device gets sealed; None: one for all
        self.indices = indices
        self.tries = tries  # made in this process before this one
        self.doubtful = doubtful  # an earlier try may have reached the device
        self.open: set[int] = set()
        self.handed_at = 0  # milliseconds since the epoch
        self.recalled = False  # one of its flight was cancelled: what comes back unsent was no try
        self.probe = False  # sent while the breaker of its app is open, to see whether it may close

    @property
    def message(self) -> Message:
        """With the addresses that the provider gets."""
        return self.parcel.message if self.opened is None else self.opened

    def last_moment(self) -> int | None:
        """Until when all of it that is now or never may leave, in milliseconds since the epoch; None: nothing is."""
        message, ends_at = self.parcel.message, self.parcel.last_moments
        return min((ends_at[target] for target in self.indices if message.is_now_or_never(target)), default=None)

    def handed(self) -> Sequence[Piece]:
        """What the provider gets."""
        return [Piece(self.message, self.indices)] if self.pieces is None else self.pieces
