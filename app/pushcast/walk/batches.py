"""Send batches of one order as they grow: targets that are alike share a message. Pure."""

from __future__ import annotations

from typing import Final, NamedTuple

from pushcast.model.broadcast import Broadcast
from pushcast.model.ids import broadcast_delivery_ids
from pushcast.model.notification import Notification
from pushcast.model.quiet import QuietTerms
from pushcast.model.quiet_notes import judged_by, silenced
from pushcast.model.words import Source
from pushcast.wire.avro_bytes import bytes_of, long_of
from pushcast.wire.devices.row_reader import Device
from pushcast.wire.devices.row_tail import locale_of
from pushcast.wire.sending.batch_writer import (
    BATCH_OVERHEAD_BYTES,
    CONTENT_KEY_OVERHEAD_BYTES,
    MESSAGE_OVERHEAD_BYTES,
    TARGET_OVERHEAD_BYTES,
    MessageWriter,
    batch_of,
    broadcast_columns,
)
from pushcast.wire.sending.message_head import head_of

_MAX_HEADS: Final = 1_000  # of variants and locales that are kept encoded


class MessageKind(NamedTuple):
    """What targets of one message share. `variant`: by name; empty: there is no split. `terms`: by which their
    sender holds them back; `silent`: they get it without sound."""

    variant: str = ""
    terms: QuietTerms | None = None
    silent: bool = False
    locale: str | None = None


class BatchLimits(NamedTuple):
    """Of one send batch."""

    max_targets: int
    max_bytes: int


class FullBatch(NamedTuple):
    """A send batch that is ready to be written."""

    platform: str
    value: bytes
    targets: int


class _Batch:
    """Targets of one platform that become one record."""

    __slots__ = ("messages", "size", "targets")

    def __init__(self) -> None:
        self.messages: dict[MessageKind, tuple[MessageWriter, bytes]] = {}  # with the index of its one notification
        self.targets = 0
        self.size = BATCH_OVERHEAD_BYTES


class OpenBatches:
    """Of one order. `offset`: its record's."""

    def __init__(
        self,
        lane: str,
        offset: int,
        broadcast: Broadcast,
        limits: BatchLimits,
        *,
        silent_channel: str | None,
        counted: bool,
    ) -> None:
        note = broadcast.note
        self._lane = lane
        self._broadcast = broadcast
        self._max_targets, self._max_bytes = limits
        self._silent_channel = silent_channel
        self._counted = counted and not note.options.dry_run
        self._id = bytes_of(note.id.encode())
        self._delivery_id = broadcast_delivery_ids(broadcast.id)
        self._offset = long_of(offset)
        self._expires_at = long_of(note.expires_at)
        self._open: dict[str, _Batch] = {}
        self._heads: dict[MessageKind, tuple[bytes, str | None]] = {}

    def add(self, note: Notification, kind: MessageKind, owner: bytes, device: Device) -> FullBatch | None:
        """A target; and the batch before it, when that one is full. `kind`: without the locale."""
        full, batch = None, self._open.get(device.platform)
        cost = len(owner) + TARGET_OVERHEAD_BYTES + device.size
        if note.sealing is not None:
            cost += CONTENT_KEY_OVERHEAD_BYTES
        if batch is not None and (batch.targets >= self._max_targets or batch.size + cost > self._max_bytes):
            full, batch = self._close(device.platform), None
        if batch is None:
            batch = self._open[device.platform] = _Batch()
        if note.content.locales:
            kind = kind._replace(locale=note.content.variant(locale_of(device)))
        message = batch.messages.get(kind)
        if message is None:
            message = batch.messages[kind] = self._message(note, kind)
            batch.size += MESSAGE_OVERHEAD_BYTES + len(note.content_key) + len(self._id)
        writer, index = message
        writer.add(index, bytes_of(owner), device, self._delivery_id(device.key), self._offset, self._expires_at)
        batch.targets += 1
        batch.size += cost
        return full

    def _message(self, note: Notification, kind: MessageKind) -> tuple[MessageWriter, bytes]:
        head = self._heads.get(kind)
        if head is None:
            shown = silenced(note, self._silent_channel) if kind.silent else note
            head = head_of(judged_by(shown, kind.terms), self._broadcast.app, kind.locale)
            if len(self._heads) < _MAX_HEADS:
                self._heads[kind] = head
        broadcast = self._broadcast
        columns = broadcast_columns(broadcast.id, kind.variant or None, note.campaign, broadcast.due_at)
        writer = MessageWriter(*head, columns, counted=self._counted, keyed=note.sealing is not None)
        return writer, writer.index_of(self._id, note.created_at, note.trace or "")

    def _close(self, platform: str) -> FullBatch:
        batch = self._open.pop(platform)
        value = batch_of(self._lane, platform, [writer for writer, _ in batch.messages.values()], Source.WALK)
        return FullBatch(platform, value, batch.targets)

    def close_all(self) -> list[FullBatch]:
        """What is open, at the end of a leg."""
        return [self._close(platform) for platform in list(self._open)]
