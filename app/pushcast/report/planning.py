"""What planned records and the legs of walks add to notes, to minutes and to the service level. Pure."""

from __future__ import annotations

from typing import Final, NamedTuple

from pushcast.model.own import CANARY_ID
from pushcast.model.words import Source
from pushcast.report import rows
from pushcast.report.notes import PlannedSums, add
from pushcast.report.pending import PendingRows
from pushcast.report.rows import Plan
from pushcast.report.tallies import is_told
from pushcast.wire.legs import Leg
from pushcast.wire.receipts import PLATFORMS, Planned, decode_planned

_KEPT: Final = (Source.DUE, Source.KEEP)


class PlannedRecord(NamedTuple):
    """A record and Kafka's time of it."""

    planned: Planned
    timestamp_ms: int


def read_planned(value: bytes, timestamp_ms: int) -> PlannedRecord:
    """Raises InvalidInput."""
    return PlannedRecord(decode_planned(value), timestamp_ms)


def take_planned(changes: PendingRows, records: list[PlannedRecord]) -> None:
    """Rows of an account take each other's place: the last of the highest run counts."""
    unsummed, full = changes.modes.unsummed, changes.modes.full
    of_notes = changes.all_planned(
        {
            note_id
            for planned, _ in records
            for note_id, facts in zip(planned.notification_id, planned.facts, strict=True)
            if facts.klass not in unsummed
        }
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
        every = zip(
            planned.source_offset, planned.notification_id, planned.other, planned.reason, planned.facts, strict=True
        )
        for number, (offset, note_id, other, reason, facts) in enumerate(every):
            platforms = {name: column[number] for name, column in columns if column[number]}
            reasons = {reason: 1} if reason and not facts.held else {}
            plan = Plan(planned.run, platforms, other, facts.held - kept, 0, 0, reasons)
            name = changes.name("notification", note_id)
            block = blocks.of(facts.created_at, account, offset)
            entry = rows.block_entry(offset, name)
            before = block.get(entry)
            counts = before is None or before.run <= plan.run
            if counts:
                block[entry] = plan
                if is_told(facts.dry_run, note_id):
                    due_at = facts.due_at or facts.created_at
                    _tell(changes, planned.lane, facts.app, facts.klass, due_at, timestamp_ms, plan, before)
            if facts.klass in unsummed:
                continue
            sums = of_notes[note_id]
            # Also by a row that a later run has replaced already: the order of the two makes no difference.
            if not sums.first_planned_at or planned.at < sums.first_planned_at:
                sums.first_planned_at = planned.at
            if facts.klass in full:
                changes.publish("notification", note_id, facts.klass)
            if counts:
                _count(sums, plan, before)
                if facts.created_at:
                    _created(changes, sums, name, facts.created_at, facts.app, facts.klass)
                    sums.campaign, sums.dry_run = sums.campaign or facts.campaign, facts.dry_run
                    if facts.expires_at > sums.expires_at:
                        sums.expires_at = facts.expires_at


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
        sums = changes.planned_of_walk(leg.broadcast)
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
        _tell(changes, leg.lane, "", "", leg.elapsed_from, None, plan, before)
        _created(changes, sums, name, leg.elapsed_from, "", "")


def _tell(
    changes: PendingRows, lane: str, app: str, klass: str, due_at: int, timestamp_ms: int | None, plan: Plan,
    before: Plan | None,
) -> None:  # fmt: skip
    """Minutes, and the service level where there is a time of the record."""
    tally, more = changes.planned_tally, 0
    for each, sign in ((plan, 1),) if before is None else ((before, -1), (plan, 1)):
        for platform, count in each.platforms.items():
            tally.add(lane, app, klass, due_at, platform, sign * count)
            more += sign * count
        if each.other:
            tally.add(lane, app, klass, due_at, "", sign * each.other)
            more += sign * each.other
    if more and timestamp_ms is not None:
        tally.see(klass, due_at, timestamp_ms, more)


def _count(sums: PlannedSums, plan: Plan, before: Plan | None) -> None:
    if before is not None:
        _count_one(sums, before, -1)
    _count_one(sums, plan, 1)


def _count_one(sums: PlannedSums, plan: Plan, sign: int) -> None:
    for platform, count in plan.platforms.items():
        add(sums.planned, platform, sign * count)
    for reason, count in plan.reasons.items():
        add(sums.not_planned, reason, sign * count)
    sums.other += sign * plan.other
    sums.held += sign * plan.held
    sums.matched += sign * plan.matched
    sums.held_out += sign * plan.held_out


def _created(changes: PendingRows, sums: PlannedSums, name: bytes, created_at: int, app: str, klass: str) -> None:
    """The note's place in the list is that of its first creation."""
    if sums.created_at and created_at >= sums.created_at:
        return
    if sums.id.startswith(CANARY_ID):
        return  # nobody looks for it in a list of campaigns
    if sums.created_at:
        changes.put(rows.list_key(sums.created_at, name), None)
    changes.put(rows.list_key(created_at, name), b"")
    sums.created_at, sums.app, sums.klass = created_at, app, klass
