"""What becomes of a source record: into a window, kept to be looked up once more, or straight to the outputs.

Nothing here waits: callers await the outbox's room first.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from pushcast.config.settings import Settings
from pushcast.handover.exact import Exactness
from pushcast.handover.tail import OwnTail, There
from pushcast.model.clock import Clock
from pushcast.model.errors import InvalidInput
from pushcast.model.gates import NO_DEVICES, Ends, GateWaits, KnownNote, Verdict, judge
from pushcast.model.ids import device_row_prefix
from pushcast.model.notification import Notification
from pushcast.model.preferences import NO_WISHES, Wishes
from pushcast.model.words import Lane, Outcome, Reason, Source
from pushcast.plan.carried import Carried
from pushcast.plan.entry import Entry, PlannedSlot
from pushcast.plan.exact import resume
from pushcast.plan.gathered import Gathered
from pushcast.plan.match import NO_ROWS, Row, split_rows, that_waited, with_locales
from pushcast.plan.outputs import PlanOutputs, Refused
from pushcast.plan.part_intake import THERE, PartIntake
from pushcast.plan.reading import Taken
from pushcast.plan.recent import ANY_CONTENT, mark_of
from pushcast.plan.refused import note_of_refused
from pushcast.plan.removals import takers_of, takes
from pushcast.plan.rules import is_young
from pushcast.plan.tenure import LookAgain, PlanTenure
from pushcast.plan.wanted import Wanted
from pushcast.plan.window import is_usual
from pushcast.stream.batch import Record
from pushcast.stream.capped import Limited
from pushcast.stream.edge import Count, Misplaced, check_place
from pushcast.stream.tracker import record_bytes
from pushcast.wire import topics
from pushcast.wire.control.cancel_state import CancelState
from pushcast.wire.devices.device_zones import home_of
from pushcast.wire.devices.row_reader import Device
from pushcast.wire.devices.user_rows import wishes_of
from pushcast.wire.newer import look
from pushcast.wire.waiting.facts import encode_facts
from pushcast.wire.waiting.held import Held, Released, has_passed

if TYPE_CHECKING:
    from pushcast.stream.batch import Batch
    from pushcast.stream.table import Table


class _Found(NamedTuple):
    """What becomes of notifications that are not in windows."""

    nothing: list[tuple[Entry, Outcome, Reason]]
    held: list[tuple[Entry, Record, Held, Reason]]
    resumed: list[Entry]


class PlanIntake:
    """One lane's sorter of notifications that were read (`reading.PlanReading`); it keeps nothing of them."""

    def __init__(
        self,
        settings: Settings,
        lane: Lane,
        table: Table,
        clock: Clock,
        outputs: PlanOutputs,
        count: Count,
        exact: Exactness,
        cancels: CancelState,
        carried: Carried,
    ) -> None:
        self._carried = carried
        self._cancels = cancels
        self._settings = settings
        self._lane = lane
        self._table = table
        self._clock = clock
        self._outputs = outputs
        self._count = count
        self._exact = exact
        self._now_or_never_ms = round(settings.send.now_or_never_seconds * 1000)
        self._parts = PartIntake(settings, lane, outputs, count, self._now_or_never_ms, carried)
        self._wanted = Wanted(settings)
        self._gathered = Gathered(settings.classes)
        self._limited = Limited(settings)
        self._asked = self._wanted.asked | self._gathered.classes | self._carried.classes | self._limited.classes
        others = self._gathered.classes | self._carried.classes | self._limited.classes
        self._quiet_alone = self._wanted.quiet_alone - others
        self._own = takers_of(settings.apps)
        # Their contents say when they were created: the same one again may differ in that.
        self._removable = frozenset(name for name, each in settings.classes.items() if each.removable)

    def plan(self, tenure: PlanTenure, batch: Batch, taken: Taken) -> None:
        """Puts every record of a slice where it belongs; from then on it is under way."""
        now, now_ms = times = self._clock.monotonic_seconds(), self._clock.now_ms()
        is_event = tenure.source is Source.NOTIFICATION
        remember, add = tenure.recent.remember, tenure.windows.add
        unreadable, asked, paced_apps = self._unreadable, self._asked, self._carried.apps
        quiet_alone = self._quiet_alone if is_event else frozenset()
        without_hours, removable = self._wanted.apps_without_hours, self._removable
        refused = taken.refused
        duplicates: list[Entry] = []
        found = _Found([], [], [])
        tail = self._exact.tail(tenure.tp) or None
        known: list[int] = []
        cancels = self._cancels.any(tenure.number)
        self._count("consumed", "", len(taken.records) + len(refused))
        tenure.pending.begun(len(taken.records) + len(refused))
        # Of a usual event only its class is asked: what a slice has none of costs it nothing.
        nothing_known, add_usual = is_event and not tail and not cancels, tenure.windows.add_usual
        for note, record, rows in zip(taken.notes, taken.records, taken.rows, strict=True):
            mark = ANY_CONTENT if note.klass in removable else mark_of(note.content_key)
            if tail and tail.is_done((record.offset, note.id)):
                remember(note.user, note.id, mark)  # the next event with this id is a duplicate
                tenure.closes.pop(record.offset, None)
                tenure.released.pop(record.offset, None)
                known.append(record.offset)
                continue
            devices: Sequence[Device]
            devices, own = split_rows(rows, note.app, note.options.push_type, unreadable) if rows else NO_ROWS
            if (
                nothing_known
                and devices
                and not own
                and note.klass not in asked
                and note.app not in paced_apps
                and note.expires_at > now_ms
                and is_usual(note)
            ):
                entry = Entry(batch, record.offset, record_bytes(record), note)
                if seen := remember(note.user, note.id, mark):
                    entry.reason = seen
                    duplicates.append(entry)
                elif len(devices) == 1:
                    add_usual(entry, note, devices[0], now)
                else:
                    add(entry, devices, now)
                continue
            if devices and note.content.locales:
                devices = with_locales(devices, unreadable)
            if not is_event and (takers := self._own.get(note.klass)) is not None:
                devices = [device for device in devices if takes(note, device, takers)]
            if note.broadcast is not None:
                devices = that_waited(note, note.broadcast, devices)
            if tail and (there := tail.take((record.offset, note.id))):
                remember(note.user, note.id, mark)
                tenure.closes.pop(record.offset, None)
                entry = Entry(batch, record.offset, record_bytes(record), note)
                if not is_event:
                    self._note_slot(tenure, entry, record, note)
                if self._go_on(tenure, entry, record, note, devices, rows, own, there, times):
                    found.resumed.append(entry)
                continue
            if not devices and not self._belongs(tenure, batch, record, refused):
                continue
            entry = Entry(batch, record.offset, record_bytes(record), note)
            if not is_event:
                self._note_slot(tenure, entry, record, note)
            if seen := remember(note.user, note.id, mark):
                if not note.revision:
                    entry.reason = seen
                    duplicates.append(entry)
                    continue
                entry.note = msgspec.structs.replace(note, was_seen=True)  # the keeper knows what waits
            if tenure.closes and record.offset in tenure.closes:
                closing = tenure.closes.pop(record.offset)
                entry.provider_id = tenure.released.pop(record.offset).left_as or None
                if closing.outcome is None:
                    duplicates.append(entry)
                else:
                    found.nothing.append((entry, closing.outcome, closing.reason))
                continue
            cancelled = cancels and self._is_cancelled(tenure, note, now_ms)
            special = note.campaign is not None or note.options.badge is not None or note.revision is not None
            special = special or (bool(paced_apps) and note.app in paced_apps)
            carried = is_event and special and self._carried.waits_for(note) is not None
            asks = note.klass in asked
            is_quiet = asks and note.klass in quiet_alone
            if is_quiet and note.app in without_hours:
                asks = is_quiet = False
            if is_quiet and not (own or special or cancelled) and self._in_calm(entry, devices, rows, now_ms):
                add(entry, devices, now)
            elif (own or carried or asks) and not cancelled:
                self._ask(tenure, entry, record, note, devices, rows, own, times, found)
            elif devices and not cancelled and note.timing is None and note.expires_at > now_ms:
                tenure.released.pop(record.offset, None)
                add(entry, devices, now)  # as `judge` says of it, which most notifications need not ask
            else:
                self._ask(tenure, entry, record, note, devices, rows, own, times, found, cancelled=cancelled)
        if refused:
            letters = refused if is_event else self._end_refused(tenure, batch, refused, tail, duplicates, found, known)
            self._outputs.dead_letters(tenure, batch, letters)
        self._outputs.nothing(tenure, found.nothing)
        self._outputs.duplicates(tenure, duplicates)
        self._outputs.held(tenure, found.held)
        self._outputs.resumed(tenure, found.resumed)
        self._outputs.known(tenure, batch, known)

    def _end_refused(
        self,
        tenure: PlanTenure,
        batch: Batch,
        refused: Sequence[Refused],
        tail: OwnTail | None,
        duplicates: list[Entry],
        found: _Found,
        known: list[int],
    ) -> list[Refused]:
        """Ends due records that cannot be planned: each has an account. Returns those that no keeper wrote."""
        foreign: list[Refused] = []
        for record, error in refused:
            released, closing = tenure.released.pop(record.offset, None), tenure.closes.pop(record.offset, None)
            note = None if released is None else note_of_refused(record, released)
            if released is None or note is None:
                foreign.append((record, error))
                continue
            place = record.offset, note.id
            entry = Entry(batch, record.offset, record_bytes(record), note)
            entry.provider_id = released.left_as or None
            if has_passed(released.passed, Reason.FREQUENCY_CAP) or released.badge is not None:
                entry.slot = PlannedSlot(note.user, note.id, note.app or "", note.klass)
            if tail and tail.is_done(place):
                known.append(record.offset)
            elif tail and (there := tail.take(place)):  # its receipt comes behind its dead letter
                entry.other, entry.reason = len(there.get(topics.RECEIPT, ())), error.reason
                found.resumed.append(entry)
            elif closing is None:
                self._outputs.rejected(tenure, entry, record, error)
            elif closing.outcome is None:
                duplicates.append(entry)
            else:  # it was called off: what is wrong with it matters no more
                found.nothing.append((entry, closing.outcome, closing.reason))
        return foreign

    def _in_calm(self, entry: Entry, devices: Sequence[Device], rows: Sequence[Row], now_ms: int) -> bool:
        """Whether an event that only quiet hours may hold up is planned now as it is for all these devices: then its
        entry says so."""
        note = entry.note
        if note is None or not devices or note.timing is not None or note.expires_at <= now_ms:
            return False
        judged = self._parts.in_calm(note, devices, rows, now_ms)
        if judged is None:
            return False
        entry.note = judged
        return True

    def _go_on(
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
            devices, _ = self._wanted.of(note, devices, wishes, times[1])
            home = partial(home_of, rows)
            return self._parts.plan(tenure, entry, record, note, devices, home, times, wishes, there) is not None
        tenure.released.pop(record.offset, None)
        devices = resume(entry, self._lane, there, devices)
        if topics.RECEIPT in there or not devices or note.is_over(times[1], self._now_or_never_ms):
            return True  # it ended as a whole, whoever has a device now; or it is over
        tenure.windows.add(entry, devices, times[0])
        return False

    def _ask(
        self,
        tenure: PlanTenure,
        entry: Entry,
        record: Record,
        note: Notification,
        devices: Sequence[Device],
        rows: Sequence[Row],
        own: Sequence[Row],
        times: tuple[float, int],
        found: _Found,
        *,
        cancelled: bool = False,
        again: bool = False,
    ) -> None:
        """Asks every gate. `rows`: all of the user's. `again`: it was looked up before, without devices."""
        now, now_ms = times
        wishes = wishes_of(own, self._unreadable) if own else NO_WISHES
        devices, unwanted = self._wanted.of(note, devices, wishes, now_ms)
        is_local = note.timing is not None and note.timing.is_local
        forgotten = self._is_forgotten(wishes, record, tenure.released.get(record.offset))
        gate = self._gate_of(note, tenure.released.get(record.offset), own)
        verdict: Verdict
        if is_local and not cancelled and not forgotten:  # each part of it expires by itself
            verdict = None if unwanted is None else Ends(Outcome.SUPPRESSED, unwanted)
        else:
            released = tenure.released.get(record.offset)
            is_new = (tenure.source is Source.NOTIFICATION and not again) or (released is not None and released.zoned)
            known = KnownNote(
                now_ms,
                self._now_or_never_ms,
                cancelled=cancelled,
                forgotten=forgotten,
                unwanted=unwanted,
                # What the keeper let go is due, whatever this machine's clock says, unless zones were changed.
                due_ms=note.due_at if is_new and note.timing is not None else 0,
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
        released = tenure.released.pop(record.offset, None)
        carried = self._carried.waits_for(note) if tenure.source is Source.NOTIFICATION else None
        if verdict is None and carried is not None:
            verdict = GateWaits(carried, now_ms)
        if verdict is None:
            tenure.windows.add(entry, devices, now)
        elif isinstance(verdict, GateWaits):
            zone = self._parts.zone_of(note, partial(home_of, rows), wishes)
            found.held.append((entry, record, self._held(note, record, released, zone, verdict), verdict.reason))
        elif verdict is NO_DEVICES and not again and self._is_young(record, now_ms):
            tenure.later.append(LookAgain(now + self._settings.plan.lookup_again_seconds, entry, record))
        else:
            found.nothing.append((entry, *verdict))

    @staticmethod
    def _is_forgotten(wishes: Wishes, record: Record, released: Released | None) -> bool:
        """Whether the user was forgotten after it was written: what was held until now is not for who came since."""
        forgotten_at = wishes.everywhere.forgotten_at
        written_at = record.timestamp if released is None else released.written_at
        return forgotten_at is not None and written_at <= forgotten_at

    def _note_slot(self, tenure: PlanTenure, entry: Entry, record: Record, note: Notification) -> None:
        released = tenure.released.get(record.offset)
        if note.has_number or (released is not None and has_passed(released.passed, Reason.FREQUENCY_CAP)):
            entry.slot = PlannedSlot(note.user, note.id, note.app or "", note.klass)

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

    def _belongs(self, tenure: PlanTenure, batch: Batch, record: Record, refused: list[Refused]) -> bool:
        """Whether the record is in its key's partition; if not, it is forwarded once, then a dead letter."""
        try:
            check_place(record, self._settings.kafka.partitions)
        except Misplaced as misplaced:
            self._outputs.forward(tenure, batch, record, misplaced.right)
        except InvalidInput as error:
            refused.append((record, error))
        else:
            return True
        return False

    def _is_cancelled(self, tenure: PlanTenure, note: Notification, now_ms: int) -> bool:
        return self._cancels.cancelled(
            tenure.number,
            note.user,
            note.id,
            app=note.app,
            thread=note.options.thread_id,
            created_at_ms=note.created_at,
            now_ms=now_ms,
            campaign=note.campaign,
        )

    def _is_young(self, record: Record, now_ms: int) -> bool:
        plan = self._settings.plan
        seconds = plan.lookup_again_younger_than_seconds
        return is_young(record.timestamp, now_ms, again_seconds=plan.lookup_again_seconds, younger_than_seconds=seconds)

    def plan_again(self, tenure: PlanTenure, looked: Sequence[LookAgain]) -> list[LookAgain]:
        """Looks users up once more who had no devices; now they have some, or it is said that they have none.

        Returns those who have a row now that only a later release can read.
        """
        waiting = [(each, each.entry.note) for each in looked if each.entry.note is not None]
        prefixes = [device_row_prefix(note.user) for _, note in waiting]
        times = self._clock.monotonic_seconds(), self._clock.now_ms()
        found = _Found([], [], [])
        waiting_on: list[LookAgain] = []
        for (each, note), rows in zip(waiting, self._table.multi_scan(tenure.number, prefixes), strict=True):
            if look([rows]).waits is not None:
                waiting_on.append(each)
                continue
            devices, own = split_rows(rows, note.app, note.options.push_type, self._unreadable)
            if note.content.locales:
                devices = with_locales(devices, self._unreadable)
            if (takers := self._own.get(note.klass)) is not None:
                devices = [device for device in devices if takes(note, device, takers)]
            if note.broadcast is not None:
                devices = that_waited(note, note.broadcast, devices)
            cancelled = self._is_cancelled(tenure, note, times[1])
            self._ask(
                tenure, each.entry, each.record, note, devices, rows, own, times, found, cancelled=cancelled, again=True
            )
        self._outputs.nothing(tenure, found.nothing)
        self._outputs.held(tenure, found.held)
        self._outputs.resumed(tenure, found.resumed)
        if waiting_on:
            self._count("unreadable_rows", Reason.UNKNOWN_SCHEMA, len(waiting_on))
        return waiting_on

    def _unreadable(self, error: InvalidInput) -> None:
        self._count("unreadable_rows", error.reason, 1)


def _held_for(note: Notification) -> Reason:
    timing = note.timing
    if timing is None or timing.deliver_at is not None or timing.reading is not None:
        return Reason.SCHEDULED
    return Reason.UNLESS_READ if timing.wait_ms else Reason.SPREAD
