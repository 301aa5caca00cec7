"""What the gates say of a notification: planned, held by the keeper, looked up once more, or at its end.

Nothing here waits: callers await the outbox's room first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import tzinfo
from functools import partial
from typing import NamedTuple

from pushcast.config.settings import Settings
from pushcast.handover.tail import There
from pushcast.model.clock import Clock
from pushcast.model.errors import InvalidInput
from pushcast.model.gates import NO_DEVICES, Ends, GateWaits, KnownNote, Verdict, judge
from pushcast.model.notification import Notification
from pushcast.model.preferences import NO_WISHES, Wishes
from pushcast.model.words import Lane, Outcome, Reason, Source
from pushcast.plan.carried import Carried
from pushcast.plan.entry import Entry
from pushcast.plan.exact import resume
from pushcast.plan.gathered import Gathered
from pushcast.plan.local_times import LocalTimes
from pushcast.plan.match import Row
from pushcast.plan.part_intake import THERE, PartIntake
from pushcast.plan.rules import is_young
from pushcast.plan.tenure import LookAgain, PlanTenure
from pushcast.plan.wanted import Wanted
from pushcast.stream.batch import Record
from pushcast.stream.capped import Limited
from pushcast.wire import topics
from pushcast.wire.devices.device_zones import home_of
from pushcast.wire.devices.row_reader import Device
from pushcast.wire.devices.user_rows import wishes_of
from pushcast.wire.waiting.facts import encode_facts
from pushcast.wire.waiting.held import LAST_MS, Held, Released


class GatedNotes(NamedTuple):
    """What becomes of notifications that are not in windows."""

    nothing: list[tuple[Entry, Outcome, Reason]]
    held: list[tuple[Entry, Record, Held, Reason]]
    resumed: list[Entry]


class PlanGates:
    """Of one lane. It keeps nothing of the notifications."""

    def __init__(
        self,
        settings: Settings,
        lane: Lane,
        clock: Clock,
        parts: PartIntake,
        local: LocalTimes,
        wanted: Wanted,
        carried: Carried,
        unreadable: Callable[[InvalidInput], None],
    ) -> None:
        """`unreadable` is told of each row that cannot be read."""
        self._settings = settings
        self._lane = lane
        self._clock = clock
        self._parts = parts
        self._local = local
        self._wanted = wanted
        self._carried = carried
        self._unreadable = unreadable
        self._gathered = Gathered(settings.classes)
        self._limited = Limited(settings)
        self._now_or_never_ms = round(settings.send.now_or_never_seconds * 1000)
        #: Of events: those that the keeper may hold for another reason than their time.
        self.kept_classes = self._gathered.classes | self._carried.classes | self._limited.classes

    def ask(
        self,
        tenure: PlanTenure,
        entry: Entry,
        record: Record,
        note: Notification,
        devices: Sequence[Device],
        rows: Sequence[Row],
        own: Sequence[Row],
        times: tuple[float, int],
        found: GatedNotes,
        *,
        cancelled: bool = False,
        again: bool = False,
    ) -> None:
        """Asks every gate. `rows`: all of the user's. `again`: it was looked up before, without devices."""
        now, now_ms = times
        wishes = wishes_of(own, self._unreadable) if own else NO_WISHES
        is_local = note.timing is not None and note.timing.is_local
        released = tenure.released.get(record.offset)
        is_new = (tenure.source is Source.NOTIFICATION and not again) or (released is not None and released.zoned)
        # What the keeper let go is due, whatever this machine's clock says, unless zones were changed.
        due_ms = note.due_at if is_new and note.timing is not None else 0
        # A mute is over when it is over by then. Of local times each device is asked at its own (`parts.share`).
        devices, unwanted = self._wanted.of(note, devices, wishes, LAST_MS if is_local else max(now_ms, due_ms))
        forgotten = _is_forgotten(wishes, record, released)
        gate = self._gate_of(note, released, own)
        verdict: Verdict
        if is_local and not cancelled and not forgotten:  # each part of it expires by itself
            verdict = None if unwanted is None else Ends(Outcome.SUPPRESSED, unwanted)
        else:
            known = KnownNote(
                now_ms,
                self._now_or_never_ms,
                cancelled=cancelled,
                forgotten=forgotten,
                unwanted=unwanted,
                due_ms=due_ms,
                waits_for=_held_for(note),
                asks_reader=tenure.source is Source.NOTIFICATION and not again and self._wanted.asks_reader(note),
                # One that gathers need not be looked up again: its digest is.
                has_devices=bool(devices) or (gate is Reason.DIGEST and self._is_young(record, now_ms)),
                digest=gate is Reason.DIGEST,
                capped=gate is Reason.FREQUENCY_CAP,
            )
            verdict = judge(note, known)
        if verdict is None and (own or self._wanted.differs(note)):
            settled = self._parts.plan(tenure, entry, record, note, devices, partial(home_of, rows), times, wishes)
            if settled is THERE:
                found.resumed.append(entry)
            elif settled is not None:
                found.nothing.append((entry, *settled))
            return
        if verdict is NO_DEVICES and not again and self._is_young(record, now_ms):
            # What the keeper says of it stays for that look: gates that it has passed would ask it again.
            tenure.later.append(LookAgain(now + self._settings.plan.lookup_again_seconds, entry, record))
            return
        tenure.released.pop(record.offset, None)
        carried = self._carried.waits_for(note) if tenure.source is Source.NOTIFICATION else None
        if verdict is None and carried is not None:
            verdict = GateWaits(carried, now_ms)
        if verdict is None:
            tenure.windows.add(entry, devices, now)
        elif isinstance(verdict, GateWaits):
            zone = self._local.zone_of(note, partial(home_of, rows), wishes)
            found.held.append((entry, record, self._held(note, record, released, zone, verdict), verdict.reason))
        else:
            found.nothing.append((entry, *verdict))

    def go_on(
        self,
        tenure: PlanTenure,
        entry: Entry,
        record: Record,
        note: Notification,
        devices: Sequence[Device],
        rows: Sequence[Row],
        own: Sequence[Row],
        there: There,
        times: tuple[float, int],
    ) -> bool:
        """Plans what a predecessor has not; True: there is nothing of it left."""
        if topics.keep(self._lane) in there and (gate := self._gate_of(note, tenure.released.get(record.offset), own)):
            tenure.released.pop(record.offset, None)
            entry.hold(gate)
            return True
        if topics.keep(self._lane) in there or own or self._wanted.differs(note):
            wishes = wishes_of(own, self._unreadable)
            is_local = note.timing is not None and note.timing.is_local
            devices, _ = self._wanted.of(note, devices, wishes, LAST_MS if is_local else times[1])
            home = partial(home_of, rows)
            return self._parts.plan(tenure, entry, record, note, devices, home, times, wishes, there) is not None
        tenure.released.pop(record.offset, None)
        devices = resume(entry, self._lane, there, devices)
        if topics.RECEIPT in there or not devices or note.is_over(times[1], self._now_or_never_ms):
            return True  # it ended as a whole, whoever has a device now; or it is over
        tenure.windows.add(entry, devices, times[0])
        return False

    def _gate_of(self, note: Notification, released: Released | None, own: Sequence[Row]) -> Reason | None:
        """Which of the keeper's gates is before it. A cap is asked here of what all devices get at one time; else as
        soon as one of them is due."""
        if self._gathered.takes(note, released):
            return Reason.DIGEST
        in_parts = own or self._wanted.differs(note)
        return Reason.FREQUENCY_CAP if not in_parts and self._limited.takes(note, released) else None

    def _held(
        self, note: Notification, record: Record, released: Released | None, zone: tzinfo, waits: GateWaits
    ) -> Held:
        """What the keeper has to know of one that waits: for its time, or for others. `zone`: the user's."""
        now_ms = self._clock.now_ms()
        written_at = record.timestamp if record.timestamp >= 0 else now_ms
        # A producer whose clock is ahead would have the keeper hold it for as long.
        from_ms, part, passed = min(written_at, now_ms), 0, ""
        if released is not None:  # let go once, and held for another reason
            written_at, part, passed = released.written_at, released.part + 1, released.passed
            from_ms = max(written_at, released.due_at)
        if waits.reason in (Reason.BADGE, Reason.PACE, Reason.REVISION):
            return Held(note.id, waits.until_ms or from_ms, written_at, part, passed=passed)
        if waits.reason is Reason.FREQUENCY_CAP:
            facts = encode_facts(self._limited.facts(note, zone))
            return Held(note.id, from_ms, written_at, part, passed=passed, facts=facts)
        if waits.reason is not Reason.DIGEST:
            is_zoned = note.timing is not None and note.timing.reading is not None
            return Held(note.id, note.due_at, written_at, part, passed=passed, zoned=is_zoned)
        facts = encode_facts(self._gathered.facts(note))
        return Held(note.id, self._gathered.until(note, from_ms, zone), written_at, part, passed=passed, facts=facts)

    def _is_young(self, record: Record, now_ms: int) -> bool:
        plan = self._settings.plan
        seconds = plan.lookup_again_younger_than_seconds
        return is_young(record.timestamp, now_ms, again_seconds=plan.lookup_again_seconds, younger_than_seconds=seconds)


def _is_forgotten(wishes: Wishes, record: Record, released: Released | None) -> bool:
    """Whether the user was forgotten after it was written: what was held until now is not for who came since."""
    forgotten_at = wishes.everywhere.forgotten_at
    written_at = record.timestamp if released is None else released.written_at
    return forgotten_at is not None and written_at <= forgotten_at


def _held_for(note: Notification) -> Reason:
    timing = note.timing
    if timing is None or timing.deliver_at is not None or timing.reading is not None:
        return Reason.SCHEDULED
    return Reason.UNLESS_READ if timing.wait_ms else Reason.SPREAD
