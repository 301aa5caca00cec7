"""What travels between PLAN and SEND: one content with many targets, the targets in columns."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Final, NamedTuple, TypeVar

from pushcast.model.device import AddressKind
from pushcast.model.notification import Content, Options
from pushcast.model.quiet import QuietTerms
from pushcast.model.sealing import Sealing
from pushcast.model.words import Source

T = TypeVar("T")
MAX_TARGETS = 1000
MAX_BATCH_BYTES = 524_288
KINDS = (
    AddressKind.TOKEN,
    AddressKind.FID,
    AddressKind.SUBSCRIPTION,
    AddressKind.TOPIC,
    AddressKind.CONDITION,
    AddressKind.CHANNEL,
    AddressKind.STORING_CHANNEL,
)
KIND_NUMBERS = {str(kind): number for number, kind in enumerate(KINDS)}


@dataclass(slots=True)
class Targets:
    """Columns of equal length: entry i of each belongs to target i. Times are milliseconds since the epoch."""

    notification: list[int] = field(default_factory=list)  # index into Message.notification_ids
    user: list[str] = field(default_factory=list)
    device: list[str] = field(default_factory=list)
    delivery_id: list[bytes] = field(default_factory=list)
    kind: list[int] = field(default_factory=list)  # index into KINDS
    address: list[bytes] = field(default_factory=list)
    key_id: list[str] = field(default_factory=list)
    token_hash: list[bytes] = field(default_factory=list)
    registered_at: list[int] = field(default_factory=list)
    source_offset: list[int] = field(default_factory=list)
    expires_at: list[int] = field(default_factory=list)
    attempt: list[int] = field(default_factory=list)  # attempts so far
    not_after: list[int | None] | None = None  # never handed over later; None: the expiries alone count
    app_version: list[str | None] | None = None  # None: unknown for all
    content_key: list[bytes | None] | None = None  # None: none has one, or nobody asks for it

    def __len__(self) -> int:
        return len(self.delivery_id)

    def picked(self, indices: list[int]) -> Targets:
        """The targets at these indices, in that order."""
        picked = Targets(*([column[i] for i in indices] for column in self.columns()))
        picked.not_after = _picked(self.not_after, indices)
        picked.app_version = _picked(self.app_version, indices)
        picked.content_key = _picked(self.content_key, indices)
        return picked

    def columns(self) -> tuple[list[Any], ...]:
        """The columns that every target has a value in, in the order of the fields."""
        return (
            self.notification,
            self.user,
            self.device,
            self.delivery_id,
            self.kind,
            self.address,
            self.key_id,
            self.token_hash,
            self.registered_at,
            self.source_offset,
            self.expires_at,
            self.attempt,
        )

    def optional_columns(self) -> tuple[list[Any] | None, ...]:
        """The others, which nearly all messages are without."""
        return self.not_after, self.app_version, self.content_key


class NoteKind(IntEnum):
    """What a notification of a message is. The numbers are those of the schema."""

    NOTIFICATION = 0
    BROADCAST = 1
    REMOVE = 2
    BADGE = 3


class ReceiptLabel(NamedTuple):
    """What the receipts of a notification say of it. `due_at`: milliseconds since the epoch."""

    due_at: int | None = None  # None: when it was created
    campaign: str | None = None
    variant: str | None = None
    replay_of: str | None = None  # the notification that it repeats on purpose


@dataclass(frozen=True, slots=True)
class Notes:
    """Columns by notification which nearly all messages are without: None where no notification has a value."""

    campaign: list[str | None] | None = None
    broadcast: list[str | None] | None = None
    variant: list[str | None] | None = None
    due_at: list[int | None] | None = None  # milliseconds since the epoch
    kind: list[int] | None = None  # of NoteKind
    replay_of: list[str | None] | None = None

    def columns(self) -> tuple[list[Any] | None, ...]:
        """All columns in the order of the fields."""
        return self.campaign, self.broadcast, self.variant, self.due_at, self.kind, self.replay_of

    def picked(self, indices: list[int]) -> Notes:
        """Those of the notifications at these indices, in that order."""
        return self if self == NO_NOTES else Notes(*(_picked(column, indices) for column in self.columns()))

    def label(self, notification: int) -> ReceiptLabel:
        """Of the notification at this index."""
        return ReceiptLabel(
            None if self.due_at is None else self.due_at[notification],
            None if self.campaign is None else self.campaign[notification],
            None if self.variant is None else self.variant[notification],
            None if self.replay_of is None else self.replay_of[notification],
        )


NO_NOTES: Final = Notes()
NO_LABEL: Final = ReceiptLabel()


def _picked(column: list[T] | None, indices: list[int]) -> list[T] | None:
    return None if column is None else [column[index] for index in indices]


class Wording(NamedTuple):
    """What one notification of a message says, and how."""

    content: Content
    options: Options
    content_hash: bytes


@dataclass(slots=True)
class Message:
    """One content for one app, with the notifications that asked for it and the devices that get it.

    In a sender small messages of an app that follow each other may be one message with `wordings`: each notification
    has a content of its own then, and `content`, `options` and `content_hash` are those of the first.
    """

    app: str
    klass: str
    content: Content
    options: Options
    content_hash: bytes  # 16 bytes, equal for equal content and options
    notification_ids: list[str]
    created_at: list[int]  # per notification
    traces: list[str]  # W3C traceparent per notification, or empty
    targets: Targets
    notes: Notes = NO_NOTES
    counted: bool = False  # frequency caps want to hear how its deliveries ended
    removable: bool = False  # removals want to
    quiet: QuietTerms | None = None  # of its devices; None: they have none that count
    sealing: Sealing | None = None  # its content is for the devices alone
    wordings: list[Wording] | None = None  # by notification; equal in `dry_run` and `at_most_once`

    def options_of(self, notification: int) -> Options:
        """Of one notification."""
        return self.options if self.wordings is None else self.wordings[notification].options

    def has_now_or_never(self) -> bool:
        """Whether a target may be now or never; False is certain. Cheap: asked once for each message."""
        expires_at, created_at = self.targets.expires_at, self.created_at
        return bool(expires_at and created_at) and min(expires_at) <= max(created_at)

    def is_now_or_never(self, target: int) -> bool:
        """Whether this target expires when its notification was created: it is handed over once, at once, or not."""
        return self.targets.expires_at[target] <= self.created_at[self.targets.notification[target]]


@dataclass(slots=True)
class SendBatch:
    """One Kafka record of `push.send.<platform>.<lane>.v1`, at most 1,000 targets and 512 KiB."""

    lane: str
    platform: str
    messages: list[Message]
    run: int = 0
    first_seen_at: int | None = None
    source: int = Source.NOTIFICATION  # of all its targets: with partition and source offset, their account

    @property
    def target_count(self) -> int:
        """Targets of all messages."""
        return sum([len(message.targets.delivery_id) for message in self.messages])
