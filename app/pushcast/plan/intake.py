"""What becomes of a source record: into a window, kept to be looked up once more, or straight to the outputs.

Nothing here waits: callers await the outbox's room first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from pushcast.config.settings import Settings
from pushcast.handover.exact import Exactness
from pushcast.model.clock import Clock
from pushcast.model.errors import InvalidInput
from pushcast.model.ids import device_row_prefix
from pushcast.model.notification import Notification
from pushcast.model.words import Lane, Reason, Source
from pushcast.plan.carried import Carried
from pushcast.plan.entry import Entry, PlannedSlot
from pushcast.plan.gates import GatedNotes, PlanGates
from pushcast.plan.local_times import LocalTimes
from pushcast.plan.match import NO_ROWS, Row, split_rows, that_waited, with_locales
from pushcast.plan.outputs import PlanOutputs, Refused
from pushcast.plan.part_intake import PartIntake
from pushcast.plan.parts import planned_in
from pushcast.plan.reading import Taken
from pushcast.plan.recent import ANY_CONTENT, mark_of
from pushcast.plan.refused_due import end_refused
from pushcast.plan.removals import takers_of, takes
from pushcast.plan.tenure import LookAgain, PlanTenure
from pushcast.plan.wanted import Wanted
from pushcast.plan.window import is_usual
from pushcast.stream.batch import Record
from pushcast.stream.edge import Count, Misplaced, check_place
from pushcast.stream.tracker import record_bytes
from pushcast.wire.control.cancel_state import CancelState
from pushcast.wire.devices.row_reader import Device
from pushcast.wire.newer import look
from pushcast.wire.waiting.held import has_passed

if TYPE_CHECKING:
    from pushcast.stream.batch import Batch
    from pushcast.stream.table import Table


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
        self._table = table
        self._clock = clock
        self._outputs = outputs
        self._count = count
        self._exact = exact
        now_or_never_ms = round(settings.send.now_or_never_seconds * 1000)
        self._local = LocalTimes(settings, count)
        self._wanted = wanted = Wanted(settings)
        parts = PartIntake(settings, lane, outputs, count, now_or_never_ms, carried, self._local, wanted.asks_reader)
        self._gates = PlanGates(settings, lane, clock, parts, self._local, self._wanted, carried, self._unreadable)
        self._asked = self._wanted.asked | self._gates.kept_classes
        self._quiet_alone = self._wanted.quiet_alone - self._gates.kept_classes
        self._own = takers_of(settings.apps)
        # Their contents say when they were created: the same one again may differ in that.
        self._removable = frozenset(name for name, each in settings.classes.items() if each.removable)

    def plan(self, tenure: PlanTenure, batch: Batch, taken: Taken) -> None:
        """Puts every record of a slice where it belongs; from then on it is under way."""
        now, now_ms = times = self._clock.monotonic_seconds(), self._clock.now_ms()
        is_event = tenure.source is Source.NOTIFICATION
        remember, add, ask = tenure.recent.remember, tenure.windows.add, self._gates.ask
        unreadable, asked, paced_apps = self._unreadable, self._asked, self._carried.apps
        quiet_alone = self._quiet_alone if is_event else frozenset()
        without_hours, removable = self._wanted.apps_without_hours, self._removable
        refused = taken.refused
        duplicates: list[Entry] = []
        found = GatedNotes([], [], [])
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
                if self._gates.go_on(tenure, entry, record, note, devices, rows, own, there, times):
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
                ask(tenure, entry, record, note, devices, rows, own, times, found)
            elif devices and not cancelled and note.timing is None and note.expires_at > now_ms:
                tenure.released.pop(record.offset, None)
                add(entry, devices, now)  # as `judge` says of it, which most notifications need not ask
            else:
                ask(tenure, entry, record, note, devices, rows, own, times, found, cancelled=cancelled)
        if refused:
            if not is_event:
                refused = end_refused(self._outputs, tenure, batch, refused, tail, duplicates, found, known)
            self._outputs.dead_letters(tenure, batch, refused)
        self._outputs.nothing(tenure, found.nothing)
        self._outputs.duplicates(tenure, duplicates)
        self._outputs.held(tenure, found.held)
        self._outputs.resumed(tenure, found.resumed)
        self._outputs.known(tenure, batch, known)

    def _in_calm(self, entry: Entry, devices: Sequence[Device], rows: Sequence[Row], now_ms: int) -> bool:
        """Whether an event that only quiet hours may hold up is planned now as it is for all these devices: then its
        entry says so."""
        note = entry.note
        if note is None or not devices or note.timing is not None or note.expires_at <= now_ms:
            return False
        judged = self._local.in_calm(note, devices, rows, now_ms)
        if judged is None:
            return False
        entry.note = judged
        return True

    def _note_slot(self, tenure: PlanTenure, entry: Entry, record: Record, note: Notification) -> None:
        released = tenure.released.get(record.offset)
        if note.has_number or (released is not None and has_passed(released.passed, Reason.FREQUENCY_CAP)):
            earlier = len(planned_in(released.done)) if released is not None else 0
            entry.slot = PlannedSlot(note.user, note.id, note.app or "", note.klass, earlier)

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

    def plan_again(self, tenure: PlanTenure, looked: Sequence[LookAgain]) -> list[LookAgain]:
        """Looks users up once more who had no devices; now they have some, or it is said that they have none.

        Returns those who have a row now that only a later release can read.
        """
        waiting = [(each, each.entry.note) for each in looked if each.entry.note is not None]
        prefixes = [device_row_prefix(note.user) for _, note in waiting]
        times = self._clock.monotonic_seconds(), self._clock.now_ms()
        found = GatedNotes([], [], [])
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
            whose = each.entry, each.record, note, devices, rows, own, times, found
            self._gates.ask(tenure, *whose, cancelled=cancelled, again=True)
        self._outputs.nothing(tenure, found.nothing)
        self._outputs.held(tenure, found.held)
        self._outputs.resumed(tenure, found.resumed)
        if waiting_on:
            self._count("unreadable_rows", Reason.UNKNOWN_SCHEMA, len(waiting_on))
        return waiting_on

    def _unreadable(self, error: InvalidInput) -> None:
        self._count("unreadable_rows", error.reason, 1)
