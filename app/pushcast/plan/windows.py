"""Windows: where targets wait to share a message and a record. Pure; times are monotonic seconds.

A window belongs to one partition, class and platform. It opens with its first target and closes at its time, when its
record is full, when the partition's bounds are reached, or on revoke and stop. What it closes into is one SendBatch.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from hashlib import blake2b

from pushcast.config.settings import Class
from pushcast.model.batch import Message, SendBatch, Targets
from pushcast.model.ids import delivery_id
from pushcast.model.notification import Notification
from pushcast.plan.match import Device
from pushcast.wire.batches import target_bytes

MESSAGE_OVERHEAD_BYTES = 200


class Entry:
    """One source record on its way through PLAN. `open` counts the output records that Kafka has not acknowledged."""

    __slots__ = ("counts", "finish", "notification", "offset", "open", "other", "reason")

    def __init__(self, offset: int, notification: Notification, finish: Callable[[int], None]) -> None:
        self.offset = offset
        self.notification = notification
        self.finish = finish  # told the offset when its planned record is acknowledged
        self.open = 0
        self.counts: dict[str, int] = {}  # deliveries planned, by platform
        self.other = 0  # receipts that the planner itself wrote
        self.reason = ""


class _Draft:
    __slots__ = ("app", "created_at", "ids", "notification", "rows", "traces")

    def __init__(self, app: str, notification: Notification) -> None:
        self.app = app
        self.notification = notification
        self.ids: list[str] = []
        self.created_at: list[int] = []
        self.traces: list[str] = []
        self.rows: list[tuple[object, ...]] = []

    def message(self) -> Message:
        first = self.notification
        return Message(
            self.app,
            first.klass,
            first.content,
            first.options,
            blake2b(first.content_key, digest_size=16).digest(),
            self.ids,
            self.created_at,
            self.traces,
            Targets(*map(list, zip(*self.rows, strict=True))),
        )


class Window:
    """Open work of one (partition, class, platform)."""

    __slots__ = ("bytes", "closes_at", "drafts", "entries", "platform", "targets")

    def __init__(self, platform: str, closes_at: float) -> None:
        self.platform = platform
        self.closes_at = closes_at
        self.drafts: dict[tuple[str, bytes], _Draft] = {}  # by (app, content key), in first-seen order
        self.entries: list[Entry] = []
        self.targets = 0
        self.bytes = 0

    def room(self, count: int, size: int, max_targets: int, max_bytes: int) -> bool:
        """Whether `count` targets of `size` bytes still fit; an empty window takes anything."""
        return not self.targets or (self.targets + count <= max_targets and self.bytes + size <= max_bytes)

    def add(self, entry: Entry, devices: Sequence[Device]) -> None:
        """Targets of one notification on this platform."""
        note = entry.notification
        offset, user, expires_at, note_id = entry.offset, note.user, note.expires_at, note.id
        for device in devices:
            key = (device.app, note.content_key)
            draft = self.drafts.get(key)
            if draft is None:
                draft = self.drafts[key] = _Draft(device.app, note)
                self.bytes += len(note.content_key) + MESSAGE_OVERHEAD_BYTES
            if not draft.ids or draft.ids[-1] != note_id or draft.created_at[-1] != note.created_at:
                draft.ids.append(note_id)
                draft.created_at.append(note.created_at)
                draft.traces.append(note.trace or "")
                self.bytes += len(note_id) * 4 + 16
            draft.rows.append(
                (
                    len(draft.ids) - 1,
                    user,
                    device.device,
                    delivery_id(note_id, user, device.app, device.device),
                    device.kind,
                    device.address,
                    device.key_id,
                    device.token_hash,
                    device.registered_at,
                    offset,
                    expires_at,
                    0,
                )
            )
            self.bytes += target_bytes(user, device.device, device.address)
        self.targets += len(devices)
        entry.open += 1
        entry.counts[self.platform] = entry.counts.get(self.platform, 0) + len(devices)
        self.entries.append(entry)

    def batch(self, lane: str) -> SendBatch:
        """The record that this window closes into, messages in first-seen order."""
        return SendBatch(lane, self.platform, [draft.message() for draft in self.drafts.values()])


class WindowRule:
    """How long windows of one class stay open."""

    def __init__(self, rule: Class, rng: random.Random) -> None:
        self._low = rule.window_min_seconds
        self._high = rule.window_max_seconds
        self._fixed = rule.window_seconds if rule.window_seconds is not None else 0.05
        self._rng = rng

    def draw(self) -> float:
        """Seconds: 0, fixed, or random in [min, max), drawn once per window."""
        if self._low is None or self._high is None:
            return self._fixed
        return self._low + (self._high - self._low) * self._rng.random()


class PartitionWindows:
    """All open windows of one partition. `take_closed` hands over what has closed, oldest first."""

    def __init__(self, rules: dict[str, WindowRule], max_targets: int, max_bytes: int) -> None:
        self._rules = rules
        self._max_targets = max_targets
        self._max_bytes = max_bytes
        self._open: dict[tuple[str, str], Window] = {}
        self._closed: list[Window] = []

    def add(self, entry: Entry, devices: Sequence[Device], now: float) -> None:
        """Puts a notification's devices into the windows of its class; full windows close on the way."""
        if len(devices) == 1:
            self._add(entry, devices[0].platform, devices, now)
            return
        by_platform: dict[str, list[Device]] = {}
        for device in devices:
            by_platform.setdefault(device.platform, []).append(device)
        for platform, group in by_platform.items():
            for part in self._parts(entry.notification, group):
                self._add(entry, platform, part, now)

    def _parts(self, note: Notification, devices: list[Device]) -> Iterator[list[Device]]:
        """Splits what would not fit even an empty record; nearly always one part."""
        part: list[Device] = []
        size = start = len(note.content_key) + MESSAGE_OVERHEAD_BYTES + len(note.id) * 4
        for device in devices:
            more = target_bytes(note.user, device.device, device.address)
            if part and (len(part) == self._max_targets or size + more > self._max_bytes):
                yield part
                part, size = [], start
            part.append(device)
            size += more
        yield part

    def _add(self, entry: Entry, platform: str, devices: Sequence[Device], now: float) -> None:
        note = entry.notification
        key = (note.klass, platform)
        window = self._open.get(key)
        if window is not None:
            size = len(note.content_key) + MESSAGE_OVERHEAD_BYTES + len(note.id) * 4
            for device in devices:
                size += target_bytes(note.user, device.device, device.address)
            if not window.room(len(devices), size, self._max_targets, self._max_bytes):
                self._closed.append(self._open.pop(key))
                window = None
        if window is None:
            window = self._open[key] = Window(platform, now + self._rules[note.klass].draw())
        window.add(entry, devices)
        if window.targets >= self._max_targets:
            self._closed.append(self._open.pop(key))

    def close_due(self, now: float) -> None:
        """Closes every window whose time has come."""
        for key in [key for key, window in self._open.items() if window.closes_at <= now]:
            self._closed.append(self._open.pop(key))

    def close_all(self) -> None:
        """Closes every window: bounds reached, revoke or stop."""
        self._closed += self._open.values()
        self._open.clear()

    def take_closed(self) -> list[Window]:
        """Closed windows not yet taken, in the order in which they closed."""
        closed, self._closed = self._closed, []
        return closed

    def next_due(self) -> float | None:
        """When the next open window closes; None when none is open."""
        return min((window.closes_at for window in self._open.values()), default=None)
