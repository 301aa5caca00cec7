"""One window: the targets of one partition, class and platform that wait to share messages and a record. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import blake2b

from pushcast.model.batch import NO_LABEL, ReceiptLabel
from pushcast.model.ids import DELIVERY_ID_BYTES
from pushcast.model.notification import Notification
from pushcast.model.words import Source
from pushcast.plan.entry import Entry
from pushcast.wire.avro_bytes import bytes_of
from pushcast.wire.devices.row_reader import Device
from pushcast.wire.devices.row_tail import locale_of
from pushcast.wire.schemas import NEWEST_GENERATION
from pushcast.wire.sending.batch_writer import (
    BATCH_OVERHEAD_BYTES,
    CONTENT_KEY_OVERHEAD_BYTES,
    MESSAGE_OVERHEAD_BYTES,
    TARGET_OVERHEAD_BYTES,
    MessageWriter,
    batch_of,
)
from pushcast.wire.sending.message_head import head_of

_MessageKey = tuple[str, bytes, str | None]  # app, content key, variant
_ESCAPED_BYTES = 6  # of a character in JSON, at most
_REPLAY_BYTES = 24  # quotes, a comma, and once the name of the column
NOTE_BYTES = 32  # creation and due time, lengths of trace and campaign, an index's growth


class Window:
    """Open work of one (partition, class, platform)."""

    __slots__ = ("bytes", "closes_at", "counted", "entries", "messages", "platform", "removable", "targets", "weight")

    def __init__(self, platform: str, closes_at: float, *, removable: bool = False, counted: bool = False) -> None:
        self.platform = platform
        self.removable = removable
        self.closes_at = closes_at
        self.counted = counted  # by frequency caps; what has a number of the keeper's is in any case
        self.messages: dict[_MessageKey, MessageWriter] = {}  # in first-seen order
        self.entries: list[Entry] = []
        self.targets = 0
        self.bytes = BATCH_OVERHEAD_BYTES  # of the record, at most
        self.weight = 0  # bytes of the source records

    def cost(self, entry: Entry, note: Notification, devices: Sequence[Device]) -> int:
        """Bytes that these targets add to the record, at most."""
        user_bytes = len(note.user) * 4 + TARGET_OVERHEAD_BYTES
        if note.sealing is not None:
            user_bytes += CONTENT_KEY_OVERHEAD_BYTES
        localized = bool(note.content.locales)
        size, last, content_key = 0, None, _content_key(note)
        for device in devices:  # rows come by app
            size += user_bytes + device.size
            key = (device.app, content_key, _variant(note, device) if localized else None)
            if key != last:
                last = key
                message = self.messages.get(key)
                if message is None:
                    size += len(note.content_key) + MESSAGE_OVERHEAD_BYTES
                same = message is not None and message.holds(entry.note_id, note.created_at, note.trace or "")
                if note.broadcast is not None:  # its users may have labels of their own
                    size += 2 * (len(entry.note_id) + len(note.broadcast.variant or "") * 4)
                if note.replay_of is not None:
                    size += len(note.replay_of) * _ESCAPED_BYTES + _REPLAY_BYTES
                if not same or note.broadcast is not None:
                    size += len(entry.note_id) + len(note.trace or "") * 4 + len(note.campaign or "") * 4 + NOTE_BYTES
        return size

    def add(self, entry: Entry, note: Notification, devices: Sequence[Device], cost: int) -> None:
        """Targets of one notification on this platform."""
        user, expires_at = bytes_of(note.user.encode()), entry.facts.expires_at
        prefix = note.delivery_prefix
        localized = bool(note.content.locales)
        label, content_key = _label(note), _content_key(note)
        for device in devices:
            key = (device.app, content_key, _variant(note, device) if localized else None)
            message = self.messages.get(key)
            if message is None:
                message = self.messages[key] = MessageWriter(
                    *head_of(note, device.app, key[2]),
                    removable=self.removable,
                    counted=(self.counted or note.has_number) and not note.options.dry_run,
                    keyed=note.sealing is not None,
                    part_of=None if note.broadcast is None else note.id,
                )
            # As `model.ids.delivery_id` has it: a row's key is user NUL app NUL device.
            delivery = blake2b(prefix + device.key, digest_size=DELIVERY_ID_BYTES).digest()
            index = message.index_of(entry.note_id, note.created_at, note.trace or "", label)
            message.add(index, user, device, delivery, entry.offset_field, expires_at)
        self.targets += len(devices)
        self.bytes += cost
        self.weight += entry.weight
        entry.add(self.platform, len(devices))
        self.entries.append(entry)

    def traces(self) -> Iterator[str]:
        """Traceparents of the notifications in it; empty where one has none."""
        for message in self.messages.values():
            yield from message.traces

    def encode(self, lane: str, source: Source = Source.NOTIFICATION, generation: int = NEWEST_GENERATION) -> bytes:
        """The SendBatch record that this window closes into, messages in first-seen order."""
        return batch_of(lane, self.platform, self.messages.values(), source, generation)


def _content_key(note: Notification) -> bytes:
    """What a message of its own is for. Those that repeat others share none with the rest, which need no column."""
    return note.content_key if note.replay_of is None else note.content_key + b"\0replay"


def is_usual(note: Notification) -> bool:
    """Whether it has nothing but a content: no language variants, time, campaign, badge, revision or privacy, it is no
    part of a broadcast and repeats no other notification."""
    return (
        note.timing is None
        and note.campaign is None
        and note.broadcast is None
        and note.sealing is None
        and note.revision is None
        and note.replay_of is None
        and note.options.badge is None
        and not note.content.locales
    )


def _label(note: Notification) -> ReceiptLabel:
    if note.timing is None and note.campaign is None and note.broadcast is None and note.replay_of is None:
        return NO_LABEL
    variant = None if note.broadcast is None else note.broadcast.variant
    return ReceiptLabel(None if note.timing is None else note.due_at, note.campaign, variant, note.replay_of)


def _variant(note: Notification, device: Device) -> str | None:
    return note.content.variant(locale_of(device))
