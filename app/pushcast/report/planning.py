"""What planned records and the legs of walks add to notes, to minutes and to the service level. Pure."""

from __future__ import annotations

from itertools import repeat
from typing import Final, NamedTuple

from pushcast.model.own import CANARY_ID
from pushcast.model.words import Source
from pushcast.report import rows
from pushcast.report.notes import PlannedSums, add
from pushcast.report.pending import PendingRows
from pushcast.report.rows import Plan
from pushcast.wire.legs import Leg
from pushcast.wire.receipts import PLATFORMS, Planned, PlannedFacts

_KEPT: Final = (Source.DUE, Source.KEEP)


class PlannedRecord(NamedTuple):
    """A record and Kafka's time of it."""

    planned: Planned
    timestamp_ms: int


def take_planned(changes: PendingRows, records: list[PlannedRecord]) -> None:
    """Rows of an account take each other's place: the last of the highest run counts."""
    unsummed, full = changes.modes.unsummed, changes.modes.full
    names = {each: changes.name("notification", each) for planned, _ in records for each in planned.notification_id}
    of_notes = changes.planned.all(
        "notification",
        {
            note_id
            for planned, _ in records
            for note_id, facts in zip(planned.notification_id, planned.facts, strict=True)
            if facts.klass not in unsummed and not facts.broadcast
        },
    )
    blocks = _Blocks(changes)
    for planned, timestamp_ms in records:
        if planned.source_offset:
            intake = f"{planned.lane}/{planned.source}"
            changes.passed[intake] = max(changes.passed.get(intake, 0), max(planned.source_offset) + 1)
        columns = [(name, column) for name, column in planned.platforms.items() if any(column)]
        account = f"{planned.lane}\0{planned.source}\0".encode()
        # What the keeper releases or closes has a row of its own, with another source.
        kept = int(planned.source in _KEPT)
        told: PlannedFacts | None = None
        shape: tuple[object, ...] | None = None
        counted = zip(*(column for _, column in columns), strict=True) if columns else repeat((), len(planned.facts))
        every = zip(
            *(planned.source_offset, planned.notification_id, planned.other, planned.reason, planned.facts, counted),
            strict=True,
        )
        for offset, note_id, other, reason, facts, counts_by_column in every:
            if shape != (this := (other, reason, facts.held, counts_by_column)):  # neighbours mostly count alike
                shape = this
                by_column = zip(columns, counts_by_column, strict=True)
                platforms = {name: count for (name, _), count in by_column if count}
                reasons = {reason: 1} if reason and not facts.held else {}
                plan = Plan(planned.run, platforms, other, facts.held - kept, 0, 0, reasons)
            name = changes.name("broadcast", note_id) if facts.broadcast else names[note_id]
            block = blocks.of(facts.created_at, account, offset)
            entry = rows.block_entry(offset, name)
            before = block.get(entry)
            counts = before is None or before.run <= plan.run
            if counts:
                block[entry] = plan
                if not facts.dry_run and not note_id.startswith(CANARY_ID):
                    if facts is not told:  # neighbours mostly have the same
                        told, tally = facts, changes.planned_tally.of(planned.lane, facts, timestamp_ms)
                    tally.add(plan, before)
            if facts.broadcast:  # what the keeper held of one: its legs have its times
                if counts:
                    _count(changes.planned.one("broadcast", note_id), plan, before)
                changes.publish("broadcast", note_id, "")
            elif facts.klass not in unsummed:
                sums = of_notes[note_id]
                # Also by a row that a later run has replaced already: the order of the two makes no difference.
                if not sums.first_planned_at or planned.at < sums.first_planned_at:
                    sums.first_planned_at = planned.at
                if counts:
                    _count(sums, plan, before)
                    _created(changes, sums, name, facts)
                if facts.klass in full:
                    changes.publish("notification", note_id, facts.klass)


class _Blocks:
    """Blocks of planned rows. Neighbours mostly lie in one."""

    def __init__(self, changes: PendingRows) -> None:
        self._changes = changes
        self._last = -1, -1, b""
        self._block: rows.Block = {}

    def of(self, created_at: int, account: bytes, offset: int) -> rows.Block:
        """To be changed in place."""
        which = created_at // rows.DAY_MS, offset // rows.BLOCK_OFFSETS, account
        if which != self._last:
            self._last = which
            self._block = self._changes.block(rows.block_key(created_at, account, offset))
        return self._block


def take_legs(changes: PendingRows, legs: list[Leg]) -> None:
    """Legs of a walk are added up; one that is written again takes its own place."""
    for leg in legs:
        if leg.count_only:
            continue
        sums = changes.planned.one("broadcast", leg.broadcast)
        sums.first_planned_at = min(sums.first_planned_at or leg.at, leg.at)
        changes.publish("broadcast", leg.broadcast, "")
        platforms = {name: count for name in PLATFORMS if (count := getattr(leg, name))}
        reasons = {reason: count for reason, count in leg.reasons.items() if count}
        plan = Plan(0, platforms, 0, leg.held, leg.matched, leg.held_out, reasons)
        account = f"{leg.lane}\0{leg.source}\0{leg.source_offset}\0{leg.leg}"
        name = changes.name("broadcast", leg.broadcast)
        key = rows.leg_key(leg.elapsed_from, account, name)
        stored = changes.get(key)
        before = None if stored is None else rows.plan_of(stored)
        changes.put(key, rows.encode(plan))
        _count(sums, plan, before)
        facts = PlannedFacts(created_at=leg.elapsed_from)
        changes.planned_tally.of(leg.lane, facts, None).add(plan, before)
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
