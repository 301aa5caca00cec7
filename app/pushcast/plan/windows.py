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
from pushcast.model.ids import DELIVERY_ID_BYTES
from pushcast.model.notification import Notification
from pushcast.plan.entry import Entry
from pushcast.plan.window import NOTE_BYTES, Window
from pushcast.wire.avro_bytes import bytes_of
from pushcast.wire.devices.row_reader import Device
from pushcast.wire.sending.batch_writer import MESSAGE_OVERHEAD_BYTES, TARGET_OVERHEAD_BYTES, MessageWriter
from pushcast.wire.sending.message_head import head_of


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
        of_note = len(entry.note_id) + len(trace) * 4 + NOTE_BYTES
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
