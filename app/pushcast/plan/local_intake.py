"""What becomes of a notification with a local time: planned for the devices that are due, held for the others."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo
from typing import TYPE_CHECKING

from pushcast.config.settings import Settings
from pushcast.handover.tail import There
from pushcast.model.gates import EXPIRED, NO_DEVICES, Ends
from pushcast.model.notification import Notification
from pushcast.model.words import Lane, Reason, Source
from pushcast.plan.entry import Entry
from pushcast.plan.exact import resume
from pushcast.plan.local import Share, dated, name_of, names_in, nobody, share, zone_or_utc
from pushcast.plan.outputs import Outputs
from pushcast.plan.tenure import PlanTenure
from pushcast.stream.batch import Record
from pushcast.stream.edge import Count
from pushcast.stream.tracker import record_bytes
from pushcast.wire import topics
from pushcast.wire.held import MAX_PARTS, Held, Released
from pushcast.wire.row_reader import Device

if TYPE_CHECKING:
    from pushcast.stream.batch import Batch

#: What an event that the keeper let go the first time was planned to before.
_FIRST = Released(0, None)


class LocalIntake:
    """Of one lane. Nothing here waits: callers await the outbox's room first."""

    def __init__(self, settings: Settings, lane: Lane, outputs: Outputs, count: Count, now_or_never_ms: int) -> None:
        self._zones = {name: zone_or_utc(app.time_zone) for name, app in settings.apps.items()}
        self._utc = zone_or_utc("UTC")
        self._keep_topic = topics.keep(lane)
        self._lane = lane
        self._outputs = outputs
        self._count = count
        self._now_or_never_ms = now_or_never_ms

    def plan(
        self,
        tenure: PlanTenure,
        batch: Batch,
        record: Record,
        note: Notification,
        devices: Sequence[Device],
        times: tuple[float, int],
        there: There | None = None,
    ) -> tuple[Entry, Ends | None] | None:
        """None: it is under way. Otherwise the entry, and how it ends (None: all of it is there already).

        `times`: monotonic seconds, and milliseconds since the epoch. `there`: what a predecessor wrote of it.
        """
        now, now_ms = times
        released = tenure.released.pop(record.offset, _FIRST)
        is_event = tenure.source is Source.NOTIFICATION
        entry = Entry(batch, record.offset, record_bytes(record), note)
        sent = b""
        if there is not None:
            left = resume(entry, self._lane, there, devices)
            sent = b"".join(name_of(device) for device in devices if device not in left)
            if self._keep_topic in there:
                return self._as_decided(tenure, entry, note, left, there, released, times)
            if topics.RECEIPT in there:
                return entry, None
            devices = left
        if not devices and not sent and not released.done:
            return self._for_nobody(tenure, entry, record, note, now_ms)
        found = self._share(note, devices, released.done, now_ms if is_event else max(now_ms, released.due_at))
        if is_event and not sent:
            if found.later_at is not None:  # the parts are planned as the keeper lets them go
                at = found.due_at if found.now else found.later_at
                self._hold(tenure, entry, record, note, at, Released(0, None))
                return None
            if not found.now:
                return entry, EXPIRED
        part = dated(note, found.due_at)
        names = b"".join(map(name_of, found.now))
        leaves = bool(found.now) and not part.is_over(now_ms, self._now_or_never_ms)
        if leaves:
            entry.date(part)
        if found.later_at is not None and released.part < MAX_PARTS:
            done = released.done + sent + names
            self._hold(tenure, entry, record, note, found.later_at, released._replace(done=done), lets_go=not leaves)
        if leaves:
            tenure.windows.add(entry, found.now, now)
        if leaves or found.later_at is not None:
            return None
        return entry, None if released.done or sent else EXPIRED

    def _for_nobody(
        self, tenure: PlanTenure, entry: Entry, record: Record, note: Notification, now_ms: int
    ) -> tuple[Entry, Ends | None] | None:
        """Somebody may register until then."""
        at = nobody(note, self._zone(note.app or ""))
        if at is None:
            return entry, EXPIRED
        if at <= now_ms or tenure.source is not Source.NOTIFICATION:
            return entry, NO_DEVICES
        self._hold(tenure, entry, record, note, at, Released(0, None))
        return None

    def _as_decided(
        self,
        tenure: PlanTenure,
        entry: Entry,
        note: Notification,
        left: Sequence[Device],
        there: There,
        released: Released,
        times: tuple[float, int],
    ) -> tuple[Entry, Ends | None] | None:
        """A keep record that is there is the decision, whatever clocks and zones say now: exactly those devices are
        planned that it names, less what is there."""
        entry.hold(Reason.SCHEDULED)
        decided = set[bytes]().union(*(names_in(blob) for blob in there[self._keep_topic])) - names_in(released.done)
        devices = [device for device in left if name_of(device) in decided]
        if not devices:
            return entry, None
        found = self._share(note, devices, b"", times[1])
        part = dated(note, found.due_at or times[1])
        if part.is_over(times[1], self._now_or_never_ms):
            return entry, None
        entry.date(part)
        entry.hold(Reason.SCHEDULED)
        tenure.windows.add(entry, devices, times[0])
        return None

    def _share(self, note: Notification, devices: Sequence[Device], done: bytes, now_ms: int) -> Share:
        found = share(note, devices, done, now_ms, self._zone)
        if found.assumed:
            self._count("zones_assumed", "", found.assumed)
        return found

    def _zone(self, app: str) -> tzinfo:
        return self._zones.get(app, self._utc)

    def _hold(
        self,
        tenure: PlanTenure,
        entry: Entry,
        record: Record,
        note: Notification,
        due_at: int,
        released: Released,
        *,
        lets_go: bool = True,
    ) -> None:
        part = released.part + 1 if tenure.source is Source.DUE else 0
        written_at = released.written_at if part else max(0, record.timestamp)
        held = Held(note.id, due_at, written_at, part, released.done)
        self._outputs.hold(tenure, entry, record, held, note.trace, lets_go=lets_go)
