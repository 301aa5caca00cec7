"""What is under way: a send record, its messages, and the targets of a message that are tried together."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from pushcast.kafka.ports import Batch
from pushcast.model.batch import Message
from pushcast.providers.port import Provider
from pushcast.wire.receipt_writer import ReceiptWriter
from pushcast.wire.retries import FIRST_ROUND, Round


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
        "started",
    )

    def __init__(
        self,
        batch: Batch,
        offset: int,
        targets: int,
        ledger_prefix: bytes,
        *,
        headers: Sequence[tuple[str, bytes]] = (),
        round_: Round = FIRST_ROUND,
        run: int = 0,
        first_seen_at: int = 0,
    ) -> None:
        self.batch = batch
        self.offset = offset
        self.left = targets  # without an acknowledged outcome
        self.ledger_prefix = ledger_prefix
        self.headers = headers
        self.round = round_  # what earlier rounds came to
        self.run = run  # of redrives
        self.first_seen_at = first_seen_at  # milliseconds since the epoch
        self.started = False  # a target may have left
        self.dropped = False  # given up here: Kafka hands it to the next owner


class Parcel:
    """One message of a record, with what all its targets share."""

    __slots__ = ("app", "earliest_expiry", "key", "message", "provider", "record", "writer")

    def __init__(
        self, record: OpenRecord, message: Message, key: Hashable, provider: Provider | None, writer: ReceiptWriter
    ) -> None:
        self.record = record
        self.message = message
        self.app = message.app
        self.key = key  # of the budget
        self.provider = provider
        self.writer = writer
        self.earliest_expiry = min(message.targets.expires_at)


class Job:
    """Targets of one message that are tried together. `open`: handed to the provider, no result yet."""

    __slots__ = ("doubtful", "handed_at", "indices", "open", "parcel", "tries")

    def __init__(self, parcel: Parcel, indices: list[int], tries: int = 0, doubtful: bool = False) -> None:
        self.parcel = parcel
        self.indices = indices
        self.tries = tries  # made in this process before this one
        self.doubtful = doubtful  # an earlier try may have reached the device
        self.open: set[int] = set()
        self.handed_at = 0  # milliseconds since the epoch
