"""What planned records and the legs of walks add to notes, to minutes and to the service level. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final, NamedTuple

from pushcast.model.own import CANARY_ID
from pushcast.model.words import Source
from pushcast.report import rows
from pushcast.report.notes import PlannedSums, add
from pushcast.report.pending import PendingRows
from pushcast.report.rows import LegPlan, Plan
from pushcast.report.tallies import PlannedTally, is_told
from pushcast.wire.answers.legs import Leg
from pushcast.wire.answers.receipts import PLATFORMS, Planned, PlannedFacts

_KEPT: Final = (Source.DUE, Source.KEEP)


class PlannedRecord(NamedTuple):
    """A record and Kafka's time of it."""

    planned: Planned
    timestamp_ms: int


def take_planned(changes: PendingRows, records: list[PlannedRecord]) -> None:
    """Rows of an account take each other's place: the last of the highest run counts."""
    unsummed, full = changes.modes.unsummed, changes.modes.full
    names = changes.names("notification", set().union(*(planned.notification_id for planned, _ in records)))
    of_notes = changes.planned.all("notification", _summed(records, unsummed))
    for planned, timestamp_ms in records:
        if planned.source_offset:
            intake = f"{planned.lane}/{planned.source}"
            changes.passed[intake] = max(changes.passed.get(intake, 0), max(planned.source_offset) + 1)
        tally = _Tallied(changes.planned_tally, planned.lane, timestamp_ms)
        account = f"{planned.lane}\0{planned.source}\0".encode()
        place: tuple[int, int] | None = None  # of the block: day and number
        created: dict[str, PlannedFacts] = {}  # by note: those that its sums know already
        at = planned.at
        for offset, note_id, facts, plan in zip(
            planned.source_offset, planned.notification_id, planned.facts, _plans_of(planned), strict=True
        ):
            name = changes.name("broadcast", note_id) if facts.broadcast else names[note_id]
            if place != (this := (facts.created_at // rows.DAY_MS, offset // rows.BLOCK_OFFSETS)):
                place, block = this, changes.block(rows.block_key(facts.created_at, account, offset))
            entry = rows.block_entry(offset, name)
            before = block.get(entry)
            counts = before is None or before.run <= plan.run
            if counts:
                block[entry] = plan
                if is_told(facts.dry_run, note_id):
                    tally.count(facts, plan, before)
            if facts.broadcast:  # what the keeper held of one: its legs have its times
                if counts:
                    _count(changes.planned.one("broadcast", note_id), plan, before)
                changes.publish("broadcast", note_id, "")
            elif facts.klass not in unsummed:
                sums = of_notes[note_id]
                # Also by a row that a later run has replaced already: the order of the two makes no difference.
                if not sums.first_planned_at or at < sums.first_planned_at:
                    sums.first_planned_at = at
                if counts:
                    _count(sums, plan, before)
                    if created.get(note_id) is not facts:
                        created[note_id] = facts
                        _created(changes, sums, name, facts)
                if facts.klass in full:
                    changes.publish("notification", note_id, facts.klass)
        tally.end()


def _summed(records: list[PlannedRecord], unsummed: Collection[str]) -> set[str]:
    """Notifications whose sums are kept."""
    found: set[str] = set()
    for planned, _ in records:
        distinct = {id(facts): facts for facts in planned.facts}  # neighbours mostly have the same
        if any(facts.broadcast or facts.klass in unsummed for facts in distinct.values()):
            of_facts = zip(planned.notification_id, planned.facts, strict=True)
            found.update(each for each, facts in of_facts if not facts.broadcast and facts.klass not in unsummed)
        else:
            found.update(planned.notification_id)
    return found


def _plans_of(planned: Planned) -> Sequence[Plan]:
    """What each row counts. Neighbours that count alike share one."""
    columns = [(name, column) for name, column in planned.platforms.items() if any(column)]
    rows_count = len(planned.facts)
    counted = list(zip(*(column for _, column in columns), strict=True)) if columns else [()] * rows_count
    shapes: tuple[Sequence[Any], ...] = planned.other, planned.reason, planned.facts, counted
    # What the keeper releases or closes has a row of its own, with another source.
    kept = int(planned.source in _KEPT)

    def plan_of(other: int, reason: str, facts: PlannedFacts, counts_by_column: tuple[int, ...]) -> Plan:
        platforms = {name: count for (name, _), count in zip(columns, counts_by_column, strict=True) if count}
        reasons = {reason: 1} if reason and not facts.held else {}
        return Plan(planned.run, platforms, other, facts.held - kept, 0, 0, reasons)

    if rows_count and all(shape.count(shape[0]) == rows_count for shape in shapes):
        return [plan_of(*(shape[0] for shape in shapes))] * rows_count
    plans: list[Plan] = []
    shape: tuple[object, ...] | None = None
    for other, reason, facts, counts_by_column in zip(*shapes, strict=True):
        if shape != (this := (other, reason, facts.held, counts_by_column)):
            shape, plan = this, plan_of(other, reason, facts, counts_by_column)
        plans.append(plan)
    return plans


class _Tallied:
    """Adds rows to the tallies of what is due. Neighbours that count alike are added in one go."""

    __slots__ = ("_alike", "_facts", "_lane", "_plan", "_tallies", "_timestamp_ms")

    def __init__(self, tallies: PlannedTally, lane: str, timestamp_ms: int) -> None:
        self._tallies = tallies
        self._lane = lane
        self._timestamp_ms = timestamp_ms
        self._facts: PlannedFacts | None = None  # of the last row, as its plan
        self._plan: Plan | None = None
        self._alike = 0  # rows that are not added yet

    def count(self, facts: PlannedFacts, plan: Plan, before: Plan | None) -> None:
        """A row counts, in place of another one."""
        if facts is not self._facts or plan is not self._plan:
            self.end()
            self._facts, self._plan = facts, plan
        self._alike += 1
        if before is not None:
            self._tallies.of(self._lane, facts, self._timestamp_ms).add(before, -1)

    def end(self) -> None:
        """There are no more."""
        if self._alike and self._facts is not None and self._plan is not None:
            self._tallies.of(self._lane, self._facts, self._timestamp_ms).add(self._plan, self._alike)
        self._alike = 0


def take_legs(changes: PendingRows, legs: list[Leg]) -> None:
    """Legs of a walk are added up; one that is written again takes its own place."""
    for leg in legs:
        if leg.count_only:
            continue
        sums = changes.planned.one("broadcast", leg.broadcast)
        sums.first_planned_at = min(sums.first_planned_at or leg.at, leg.at)
        sums.expires_at = max(sums.expires_at, leg.expires_at)
        changes.publish("broadcast", leg.broadcast, "")
        platforms = {name: count for name in PLATFORMS if (count := getattr(leg, name))}
        reasons = {reason: count for reason, count in leg.reasons.items() if count}
        variants = {name: count for name, count in leg.variants.items() if count}
        plan = LegPlan(0, platforms, 0, leg.held, leg.matched, leg.held_out, reasons, variants)
        account = f"{leg.lane}\0{leg.source}\0{leg.source_offset}\0{leg.leg}"
        name = changes.name("broadcast", leg.broadcast)
        key = rows.leg_key(leg.elapsed_from, account, name)
        stored = changes.get(key)
        before = None if stored is None else rows.leg_plan_of(stored)
        changes.put(key, rows.encode(plan))
        _count(sums, plan, before)
        for each, sign in ((before, -1), (plan, 1)):
            for variant, count in () if each is None else each.variants.items():
                add(sums.planned_variants, variant, sign * count)
        facts = PlannedFacts(created_at=leg.elapsed_from)
        due = changes.planned_tally.of(leg.lane, facts, None)
        due.add(plan, 1)
        if before is not None:
            due.add(before, -1)
        if not sums.created_at or leg.elapsed_from < sums.created_at:
            _list(changes, sums, name, leg.elapsed_from, "", "")


def _count(sums: PlannedSums, plan: Plan, before: Plan | None) -> None:
    if before is not None:
        _count_one(sums, before, -1)
    _count_one(sums, plan, 1)


def _count_one(sums: PlannedSums, plan: Plan, sign: int) -> None:
    for platform, count in plan.platforms.items():
        add(sums.planned, platform, sign * count)
    if plan.reasons or plan.other or plan.held or plan.matched or plan.held_out:
        for reason, count in plan.reasons.items():
            add(sums.not_planned, reason, sign * count)
        sums.other += sign * plan.other
        sums.held += sign * plan.held
        sums.matched += sign * plan.matched
        sums.held_out += sign * plan.held_out


def _created(changes: PendingRows, sums: PlannedSums, name: bytes, facts: PlannedFacts) -> None:
    """The note's place in the list is that of its first creation."""
    created_at = facts.created_at
    if not created_at:
        return
    if not sums.created_at or created_at < sums.created_at:
        _list(changes, sums, name, created_at, facts.app, facts.klass)
    sums.campaign, sums.dry_run = sums.campaign or facts.campaign, facts.dry_run
    if facts.expires_at > sums.expires_at:
        sums.expires_at = facts.expires_at


def _list(changes: PendingRows, sums: PlannedSums, name: bytes, created_at: int, app: str, klass: str) -> None:
    if sums.id.startswith(CANARY_ID):
        return  # nobody looks for it in a list of campaigns
    if sums.created_at:
        changes.put(rows.list_key(sums.created_at, name), None)
    changes.put(rows.list_key(created_at, name), b"")
    sums.created_at, sums.app, sums.klass = created_at, app, klass
