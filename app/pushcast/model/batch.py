"""What travels between PLAN and SEND: one content with many targets, the targets in columns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pushcast.model.device import AddressKind
from pushcast.model.notification import Content, Options

MAX_TARGETS = 1000
MAX_BATCH_BYTES = 524_288
KINDS = (AddressKind.TOKEN, AddressKind.FID, AddressKind.SUBSCRIPTION)
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

    def __len__(self) -> int:
        return len(self.delivery_id)

    def picked(self, indices: list[int]) -> Targets:
        """The targets at these indices, in that order."""
        return Targets(*([column[i] for i in indices] for column in self.columns()))

    def columns(self) -> tuple[list[Any], ...]:
        """All columns in the order of the fields."""
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


@dataclass(slots=True)
class Message:
    """One content for one app, with the notifications that asked for it and the devices that get it."""

    app: str
    klass: str
    content: Content
    options: Options
    content_hash: bytes  # 16 bytes, equal for equal content and options
    notification_ids: list[str]
    created_at: list[int]  # per notification
    traces: list[str]  # W3C traceparent per notification, or empty
    targets: Targets

    def has_now_or_never(self) -> bool:
        """Whether a target may be now or never; False is certain. Cheap: asked once for each message."""
        return min(self.targets.expires_at, default=1) <= max(self.created_at, default=0)

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

    @property
    def target_count(self) -> int:
        """Targets of all messages."""
        return sum(len(message.targets) for message in self.messages)
