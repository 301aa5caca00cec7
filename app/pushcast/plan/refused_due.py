"""Ends due records that cannot be planned: each has an account, and a receipt beside its dead letter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pushcast.handover.tail import OwnTail
from pushcast.model.words import Reason
from pushcast.plan.entry import Entry, PlannedSlot
from pushcast.plan.gates import GatedNotes
from pushcast.plan.outputs import PlanOutputs, Refused
from pushcast.plan.parts import planned_in
from pushcast.plan.refused import note_of_refused
from pushcast.plan.tenure import PlanTenure
from pushcast.stream.tracker import record_bytes
from pushcast.wire import topics
from pushcast.wire.waiting.held import has_passed

if TYPE_CHECKING:
    from pushcast.stream.batch import Batch


def end_refused(
    outputs: PlanOutputs,
    tenure: PlanTenure,
    batch: Batch,
    refused: Sequence[Refused],
    tail: OwnTail | None,
    duplicates: list[Entry],
    found: GatedNotes,
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
            earlier = len(planned_in(released.done))
            entry.slot = PlannedSlot(note.user, note.id, note.app or "", note.klass, earlier)
        if tail and tail.is_done(place):
            known.append(record.offset)
        elif tail and (there := tail.take(place)):  # its receipt comes behind its dead letter
            entry.other, entry.reason = len(there.get(topics.RECEIPT, ())), error.reason
            found.resumed.append(entry)
        elif closing is None:
            outputs.rejected(tenure, entry, record, error)
        elif closing.outcome is None:
            duplicates.append(entry)
        else:  # it was called off: what is wrong with it matters no more
            found.nothing.append((entry, closing.outcome, closing.reason))
    return foreign
