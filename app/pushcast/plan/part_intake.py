"""What becomes of a notification that a user's devices may get at different times: planned for those that are due, held
for the others. Local times and quiet hours make them differ, and preferences leave some out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import tzinfo
from enum import Enum
from operator import attrgetter
from typing import Final, TypeVar

from pushcast.config.settings import Settings
from pushcast.handover import tail
from pushcast.model.gates import EXPIRED, NO_DEVICES, Ends
from pushcast.model.notification import Notification
from pushcast.model.preferences import NO_WISHES, Wishes
from pushcast.model.quiet import Quiet
from pushcast.model.quiet_notes import judged_by, silenced
from pushcast.model.words import Lane, Reason, Source
from pushcast.plan.carried import Carried
from pushcast.plan.entry import Entry
from pushcast.plan.exact import resume
from pushcast.plan.gathered import facts_of
from pushcast.plan.local_times import LocalTimes
from pushcast.plan.outputs import PlanOutputs
from pushcast.plan.parts import (
    Share,
    dated,
    done_with,
    held_until,
    name_of,
    names_in,
    nobody,
    planned_in,
    share,
)
from pushcast.plan.tenure import PlanTenure
from pushcast.stream.batch import Record
from pushcast.stream.capped import Limited
from pushcast.stream.edge import Count
from pushcast.wire import topics
from pushcast.wire.devices.device_zones import Home
from pushcast.wire.devices.row_reader import Device
from pushcast.wire.waiting.facts import encode_facts
from pushcast.wire.waiting.held import MAX_PARTS, Held, Released, has_passed

Key = TypeVar("Key")


class There(Enum):
    """All that is to be written of it is there."""

    THERE = "there"


#: None: it is under way.
Settled = Ends | There | None
THERE: Final = There.THERE
#: What an event that the keeper let go the first time was planned to before.
_FIRST = Released(0, None)


class PartIntake:
    """Of one lane. Nothing here waits: callers await the outbox's room first."""

    def __init__(
        self,
        settings: Settings,
        lane: Lane,
        outputs: PlanOutputs,
        count: Count,
        now_or_never_ms: int,
        carried: Carried,
        local: LocalTimes,
        asks_reader: Callable[[Notification], bool],
    ) -> None:
        """`asks_reader`: whether the keeper has to say if it was read before any of it leaves."""
        self._asks_reader = asks_reader
        self._carried = carried
        self._local = local
        self._silent_channels = {name: app.silent_channel_id for name, app in settings.apps.items()}
        self._limited = Limited(settings)
        self._keep_topic = topics.keep(lane)
        self._lane = lane
        self._outputs = outputs
        self._count = count
        self._now_or_never_ms = now_or_never_ms

    def plan(
        self,
        tenure: PlanTenure,
        entry: Entry,
        record: Record,
        note: Notification,
        devices: Sequence[Device],
        home: Home,
        times: tuple[float, int],
        wishes: Wishes = NO_WISHES,
        there: tail.There | None = None,
    ) -> Settled:
        """What of it is due is planned, and the rest held.

        `devices`: those that the user wants it on. `home`: where the user is, by all devices. `times`: monotonic
        seconds, and milliseconds since the epoch. `there`: what a predecessor wrote of it.
        """
        now_ms = times[1]
        released = tenure.released.pop(record.offset, _FIRST)
        is_event = tenure.source is Source.NOTIFICATION
        sent, sent_due_at = b"", 0
        at_ms = now_ms if is_event else max(now_ms, released.due_at)
        if there is not None:
            left = resume(entry, self._lane, there, devices)
            if self._keep_topic in there:
                return self._as_decided(tenure, entry, note, devices, left, home, there, released, times, wishes)
            if any(entry.counts):
                served = [device for device in devices if device not in left]
                sent = b"".join(map(name_of, served))
                sent_due_at = self._share(note, served, home, b"", at_ms, wishes).due_at or released.due_at
                self._date_sent(entry, note, sent_due_at, released)
            if topics.RECEIPT in there:
                return THERE
            devices = left
        if not devices and not sent and not released.done:
            zone = self._local.zone_of(note, home, wishes)
            return self._for_nobody(tenure, entry, record, note, zone, at_ms, released)
        found = self._share(note, devices, home, released.done, at_ms, wishes)
        leaving = found.leaving
        if not leaving and not sent and self._gathers(note, found, released):
            facts = encode_facts(facts_of(note))
            self._hold(tenure, entry, record, note, found.later_at or 0, released, Reason.DIGEST, facts=facts)
            return None
        if leaving and not sent and self._limited.takes(note, released):
            # A cap judges what is due now by how long that lives, which a local time does not know before.
            lives = self._part(note, found.due_at, released)
            facts = encode_facts(self._limited.facts(lives, self._local.zone_of(note, home, wishes)))
            self._hold(tenure, entry, record, note, at_ms, released, Reason.FREQUENCY_CAP, facts=facts)
            return None
        if is_event and not sent:
            carried = self._carried.waits_for(note) if leaving else None
            if carried is None and leaving and self._asks_reader(note):
                carried = Reason.READ_GATE
            if found.later_at is not None or carried is not None:  # its parts are planned as the keeper lets them go
                # Who is left out now is named when that is let go.
                at = found.due_at if leaving else at_ms if found.left_out else found.later_at or 0
                reason = found.waits_for if found.later_at is not None else carried or Reason.SCHEDULED
                self._hold(tenure, entry, record, note, at, Released(0, None), reason)
                return None
            if not leaving:
                return found.ends or EXPIRED
        part = self._part(note, max(found.due_at, sent_due_at), released)
        leaves = bool(leaving) and not part.is_over(now_ms, self._now_or_never_ms)
        if leaves:
            entry.date(part)
        if found.later_at is not None and released.part < MAX_PARTS:
            done = done_with(released.done, sent + b"".join(map(name_of, leaving)), found.left_out)
            rest = released._replace(done=done)
            self._hold(tenure, entry, record, note, found.later_at, rest, found.waits_for, lets_go=not leaves)
        if leaves:
            self._add(tenure, entry, part, found, times[0])
        if leaves or found.later_at is not None:
            return None
        return THERE if planned_in(released.done) or sent else found.ends or EXPIRED

    def _part(self, note: Notification, due_at: int, released: Released) -> Notification:
        """What of it is due then, as it is planned."""
        if note.timing is not None and note.timing.is_local:
            return dated(note, due_at)
        return held_until(note, released.due_at) if released.due_at > note.due_at else note

    def _add(self, tenure: PlanTenure, entry: Entry, part: Notification, found: Share, now: float) -> None:
        for app, devices in _grouped(found.silent, attrgetter("app")).items():
            entry.note = silenced(part, self._silent_channels.get(app))
            tenure.windows.add(entry, devices, now)
        for terms, devices in _grouped(found.now, lambda device: found.terms.get(device.key)).items():
            entry.note = judged_by(part, terms)
            tenure.windows.add(entry, devices, now)

    def _for_nobody(
        self,
        tenure: PlanTenure,
        entry: Entry,
        record: Record,
        note: Notification,
        zone: tzinfo,
        at_ms: int,
        released: Released,
    ) -> Settled:
        """Somebody may register until it is due. What the keeper let go is, unless zones were changed."""
        if note.timing is None or not note.timing.is_local:
            return NO_DEVICES
        due_at = nobody(note, zone)
        if due_at is None:
            return EXPIRED
        is_due = tenure.source is not Source.NOTIFICATION and not released.zoned
        if is_due or due_at <= at_ms or released.part >= MAX_PARTS:
            return NO_DEVICES
        self._hold(tenure, entry, record, note, due_at, released)
        return None

    def _as_decided(
        self,
        tenure: PlanTenure,
        entry: Entry,
        note: Notification,
        devices: Sequence[Device],
        left: Sequence[Device],
        home: Home,
        there: tail.There,
        released: Released,
        times: tuple[float, int],
        wishes: Wishes,
    ) -> Settled:
        """A keep record that is there is the decision, whatever clocks and zones say now: exactly those devices are
        planned that it names, less what is there."""
        decided = set[bytes]().union(*map(planned_in, there[self._keep_topic])) - names_in(released.done)
        named = [device for device in devices if name_of(device) in decided]
        found = self._share(note, named, home, b"", max(times[1], released.due_at), wishes)
        due_at = found.due_at or released.due_at
        if any(entry.counts):
            self._date_sent(entry, note, due_at, released)
        entry.hold(Reason.SCHEDULED)
        devices = [device for device in left if name_of(device) in decided]
        part = self._part(note, due_at or times[1], released)
        if not devices or part.is_over(times[1], self._now_or_never_ms):
            return THERE
        entry.date(part)
        entry.hold(Reason.SCHEDULED)
        silent = {device.key for device in found.silent}
        now = [device for device in devices if device.key not in silent]
        still = found._replace(now=now, silent=[device for device in devices if device.key in silent])
        self._add(tenure, entry, part, still, times[0])
        return None

    def _date_sent(self, entry: Entry, note: Notification, due_at: int, released: Released) -> None:
        """Some of it is there, and its receipts say when it was due: so does its planned row, whatever is left to plan.
        `due_at` 0: nobody knows any more."""
        if due_at:
            entry.date(self._part(note, due_at, released))

    def _share(
        self, note: Notification, devices: Sequence[Device], home: Home, done: bytes, now_ms: int, wishes: Wishes
    ) -> Share:
        found = share(note, devices, done, now_ms, self._local.around(note, home, wishes))
        if found.assumed:
            self._count("zones_assumed", "", found.assumed)
        return found

    def _gathers(self, note: Notification, found: Share, released: Released) -> bool:
        """Whether it waits in a digest until quiet hours are over: where no device gets it before."""
        if found.waits_for is not Reason.QUIET_HOURS or self._local.quiet_of(note) is not Quiet.DIGEST:
            return False
        is_local = note.timing is not None and note.timing.is_local
        return not is_local and not released.done and not has_passed(released.passed, Reason.DIGEST)

    def _hold(
        self,
        tenure: PlanTenure,
        entry: Entry,
        record: Record,
        note: Notification,
        due_at: int,
        released: Released,
        reason: Reason = Reason.SCHEDULED,
        *,
        lets_go: bool = True,
        facts: bytes = b"",
    ) -> None:
        part = released.part + 1 if tenure.source is Source.DUE else 0
        written_at = released.written_at if part else max(0, record.timestamp)
        held = Held(note.id, due_at, written_at, part, released.done, released.passed, facts, zoned=not facts)
        self._outputs.hold(tenure, entry, record, held, note.trace, reason, lets_go=lets_go)


def _grouped(devices: Sequence[Device], key: Callable[[Device], Key]) -> dict[Key, list[Device]]:
    found: dict[Key, list[Device]] = {}
    for device in devices:
        found.setdefault(key(device), []).append(device)
    return found
