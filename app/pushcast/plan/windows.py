"""Windows: where targets wait to share a message and a record. Pure; times are monotonic seconds.

A window belongs to one partition, class and platform. It opens with its first target and closes at its time, when its
record is full, when the partition's bounds are reached, or on revoke and stop. What it closes into is one SendBatch.
"""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b

from pushcast.config.classes import Class
from pushcast.model.batch import NO_LABEL, ReceiptLabel
from pushcast.model.ids import DELIVERY_ID_BYTES
from pushcast.model.notification import Notification
from pushcast.model.words import Source
from pushcast.plan.entry import Entry
from pushcast.wire.avro_bytes import bytes_of
from pushcast.wire.batch_writer import (
    BATCH_OVERHEAD_BYTES,
    CONTENT_KEY_OVERHEAD_BYTES,
    MESSAGE_OVERHEAD_BYTES,
    TARGET_OVERHEAD_BYTES,
    MessageWriter,
    batch_of,
)
from pushcast.wire.message_head import head_of
from pushcast.wire.row_reader import Device
from pushcast.wire.row_tail import locale_of
from pushcast.wire.schemas import NEWEST_GENERATION

_MessageKey = tuple[str, bytes, str | None]  # app, content key, variant
_ESCAPED_BYTES = 6  # of a character in JSON, at most
_REPLAY_BYTES = 24  # quotes, a comma, and once the name of the column
_NOTE_BYTES = 32  # creation and due time, lengths of trace and campaign, an index's growth


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
                    size += len(entry.note_id) + len(note.trace or "") * 4 + len(note.campaign or "") * 4 + _NOTE_BYTES
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


class WindowRule:
    """How long windows of one class stay open. `counted`: frequency caps count it."""

    def __init__(self, rule: Class, rng: random.Random, *, counted: bool = False) -> None:
        self.counted = counted
        self._low = rule.window_min_seconds
        self._high = rule.window_max_seconds
        self._fixed = rule.window_seconds if rule.window_seconds is not None else 0.05
        self._rng = rng

    def draw(self) -> float:
        """Seconds: 0, fixed, or random in [min, max), drawn once per window."""
        if self._low is None or self._high is None:
            return self._fixed
        drawn = self._low + (self._high - self._low) * self._rng.random()
        # Rounding can reach the excluded end.
        return drawn if drawn < self._high else math.nextafter(self._high, self._low)


@dataclass(frozen=True, slots=True)
class WindowLimits:
    """Bounds of one record, and of what the windows of one partition hold open before all of them close."""

    max_targets: int
    max_batch_bytes: int
    max_open_records: int
    max_open_bytes: int  # of source records, as the transport counts them, and of what they became
    removable: frozenset[str] = frozenset()  # classes whose deliveries the keeper wants to hear of


class PartitionWindows:
    """All open windows of one partition. Those that have closed are taken one by one, oldest first."""

    def __init__(self, rules: dict[str, WindowRule], limits: WindowLimits) -> None:
        self._rules = rules
        self._limits = limits
        self._open: dict[tuple[str, str], Window] = {}
        self._closed: deque[Window] = deque()
        self._open_records = 0
        self._open_bytes = 0

    def add(self, entry: Entry, devices: Sequence[Device], now: float) -> None:
        """Puts a notification's devices into the windows of its class; full windows close on the way.

        All windows close when the partition's bounds are reached.
        """
        note = entry.note
        if note is None:
            raise ValueError("this entry is in its windows already")
        if len(devices) == 1:
            self._add(entry, note, devices[0].platform, devices, now)
        else:
            by_platform: dict[str, list[Device]] = {}
            for device in devices:
                by_platform.setdefault(device.platform, []).append(device)
            for platform, group in by_platform.items():
                for part in self._parts(entry, note, group):
                    self._add(entry, note, platform, part, now)
        entry.note = None
        if self._open_records >= self._limits.max_open_records or self._open_bytes >= self._limits.max_open_bytes:
            self.close_all()

    def add_usual(self, entry: Entry, note: Notification, device: Device, now: float) -> None:
        """`add` of one device and a notification with nothing but a content (`is_usual`): nearly all are so. It is
        weighed and put in one go, at half the price."""
        trace, limits, platform = note.trace or "", self._limits, device.platform
        window_key, message_key = (note.klass, platform), (device.app, note.content_key, None)
        beside = len(note.user) * 4 + TARGET_OVERHEAD_BYTES + device.size
        of_note = len(entry.note_id) + len(trace) * 4 + _NOTE_BYTES
        of_message = of_note + len(note.content_key) + MESSAGE_OVERHEAD_BYTES
        window = self._open.get(window_key)
        message = None
        if window is not None:
            message = window.messages.get(message_key)
            if message is None:
                cost = beside + of_message
            else:
                cost = beside if message.holds(entry.note_id, note.created_at, trace) else beside + of_note
            if window.targets >= limits.max_targets or window.bytes + cost > limits.max_batch_bytes:
                self._close(window_key)
                window = message = None
        if window is None:
            window, cost = self._opened(window_key, now), beside + of_message
        if message is None:
            message = window.messages[message_key] = MessageWriter(
                *head_of(note, device.app, None),
                removable=window.removable,
                counted=window.counted and not note.options.dry_run,
            )
        # As `model.ids.delivery_id` has it.
        delivery = blake2b(note.id.encode() + b"\0" + device.key, digest_size=DELIVERY_ID_BYTES).digest()
        index = message.index_of(entry.note_id, note.created_at, trace)
        user = bytes_of(note.user.encode())
        message.add(index, user, device, delivery, entry.offset_field, entry.facts.expires_at)
        window.targets += 1
        window.bytes += cost
        window.weight += entry.weight
        entry.add(platform, 1)
        window.entries.append(entry)
        entry.note = None
        self._open_records += 1
        self._open_bytes += entry.weight + cost
        if window.targets >= limits.max_targets:
            self._close(window_key)
        if self._open_records >= limits.max_open_records or self._open_bytes >= limits.max_open_bytes:
            self.close_all()

    def _parts(self, entry: Entry, note: Notification, devices: list[Device]) -> Iterator[list[Device]]:
        """Splits what would not fit even an empty record; nearly always one part."""
        limits, empty = self._limits, Window("", 0.0)
        room = limits.max_batch_bytes - empty.bytes
        if len(devices) <= limits.max_targets and empty.cost(entry, note, devices) <= room:
            yield devices
            return
        part: list[Device] = []
        size = 0
        for device in devices:
            alone = empty.cost(entry, note, (device,))
            if part and part[-1].app == device.app:
                more = len(note.user) * 4 + TARGET_OVERHEAD_BYTES + device.size
            else:
                more = alone
            if part and (len(part) == limits.max_targets or size + more > room):
                yield part
                part, size, more = [], 0, alone
            part.append(device)
            size += more
        yield part

    def _add(self, entry: Entry, note: Notification, platform: str, devices: Sequence[Device], now: float) -> None:
        key = (note.klass, platform)
        limits = self._limits
        window, cost = self._open.get(key), 0
        if window is not None:
            cost = window.cost(entry, note, devices)
            if window.targets + len(devices) > limits.max_targets or window.bytes + cost > limits.max_batch_bytes:
                self._close(key)
                window = None
        if window is None:
            window = self._opened(key, now)
            cost = window.cost(entry, note, devices)
        window.add(entry, note, devices, cost)
        self._open_records += 1
        self._open_bytes += entry.weight + cost
        if window.targets >= limits.max_targets:
            self._close(key)

    def _opened(self, key: tuple[str, str], now: float) -> Window:
        klass, platform = key
        rule, removable = self._rules[klass], klass in self._limits.removable
        window = self._open[key] = Window(platform, now + rule.draw(), removable=removable, counted=rule.counted)
        self._open_bytes += window.bytes
        return window

    def _close(self, key: tuple[str, str]) -> None:
        window = self._open.pop(key)
        self._open_records -= len(window.entries)
        self._open_bytes -= window.weight + window.bytes
        self._closed.append(window)

    def close_due(self, now: float) -> None:
        """Closes every window whose time has come."""
        for key in [key for key, window in self._open.items() if window.closes_at <= now]:
            self._close(key)

    def close_all(self) -> None:
        """Closes every window: bounds reached, revoke or stop."""
        for key in list(self._open):
            self._close(key)

    @property
    def has_closed(self) -> bool:
        """Whether a closed window waits to be taken."""
        return bool(self._closed)

    def take_closed(self) -> Window:
        """The window that closed first. Raises IndexError when there is none."""
        return self._closed.popleft()

    def next_due(self) -> float | None:
        """When the next open window closes; None when none is open."""
        return min((window.closes_at for window in self._open.values()), default=None)
