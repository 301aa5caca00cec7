"""What planned records and the legs of walks add to notes and minutes. Pure."""

from __future__ import annotations

from typing import NamedTuple

from pushcast.model.own import CANARY_ID
from pushcast.model.words import Source
from pushcast.report import rows, slo
from pushcast.report.notes import PlannedSums, add
from pushcast.report.pending import PendingRows
from pushcast.report.rows import Plan
from pushcast.wire.legs import Leg, decode_leg
from pushcast.wire.receipts import Planned, PlannedFacts, decode_planned

PLATFORMS = ("apns", "fcm", "expo", "webpush")
_KEPT = (Source.DUE, Source.KEEP)


class PlannedRecord(NamedTuple):
    """A record and Kafka's time of it."""

    planned: Planned
    timestamp_ms: int


def read_planned(value: bytes, timestamp_ms: int) -> PlannedRecord:
    """Raises InvalidInput."""
    return PlannedRecord(decode_planned(value), timestamp_ms)


def take_planned(changes: PendingRows, records: list[PlannedRecord]) -> None:
    """Rows of an account take each other's place: the last of the highest run counts."""
    _fetch(changes, records)
    for planned, timestamp_ms in records:
        if planned.source_offset:
            intake = f"{planned.lane}/{planned.source}"
            changes.passed[intake] = max(changes.passed.get(intake, 0), max(planned.source_offset) + 1)
        columns = [(name, column) for name, column in planned.platforms.items() if any(column)]
        account = _account(planned)
        # What the keeper releases or closes has a row of its own, with another source.
        kept = int(planned.source in _KEPT)
        for number, facts in enumerate(planned.facts):
            reason = planned.reason[number]
            plan = Plan(
                planned.run,
                {name: column[number] for name, column in columns if column[number]},
                planned.other[number],
                facts.held - kept,
                reasons={reason: 1} if reason and not facts.held else {},
            )
            note_id, offset = planned.notification_id[number], planned.source_offset[number]
            name = changes.name("notification", note_id)
            block = changes.block(rows.block_key(facts.created_at, account, offset))
            entry = rows.block_entry(offset, name)
            before = block.get(entry)
            counts = before is None or before.run <= plan.run
            if counts:
                block[entry] = plan
                if not facts.dry_run and not note_id.startswith(CANARY_ID):
                    _tell(changes, planned.lane, facts, timestamp_ms, plan, before)
            if changes.modes.sums_up("notification", facts.klass):
                sums = changes.planned("notification", note_id)
                # Also by a row that a later run has replaced already: the order of the two makes no difference.
                sums.first_planned_at = min(sums.first_planned_at or planned.at, planned.at)
                changes.publish("notification", note_id, facts.klass)
                if counts:
                    _count(sums, plan, before)
                    if facts.created_at:
                        _created(changes, sums, name, facts.created_at, facts.app, facts.klass)
                        sums.campaign, sums.dry_run = sums.campaign or facts.campaign, facts.dry_run
                        sums.expires_at = max(sums.expires_at, facts.expires_at)


def _fetch(changes: PendingRows, records: list[PlannedRecord]) -> None:
    wanted: set[bytes] = set()
    for planned, _ in records:
        account = _account(planned)
        for offset, note_id, facts in zip(planned.source_offset, planned.notification_id, planned.facts, strict=True):
            wanted.add(rows.block_key(facts.created_at, account, offset))
            if changes.modes.sums_up("notification", facts.klass):
                wanted.add(rows.note_key(changes.name("notification", note_id)))
    changes.fetch(wanted)


def _account(planned: Planned) -> bytes:
    return f"{planned.lane}\0{planned.source}\0".encode()


def read_leg(value: bytes) -> Leg:
    """Raises InvalidInput."""
    return decode_leg(value)


def take_legs(changes: PendingRows, legs: list[Leg]) -> None:
    """Legs of a walk are added up; one that is written again takes its own place."""
    for leg in legs:
        if leg.count_only:
            continue
        sums = changes.planned("broadcast", leg.broadcast)
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
        _at_minutes(changes, leg.lane, PlannedFacts(created_at=leg.elapsed_from), plan, before)
        _created(changes, sums, name, leg.elapsed_from, "", "")


def _tell(
    changes: PendingRows, lane: str, facts: PlannedFacts, timestamp_ms: int, plan: Plan, before: Plan | None
) -> None:
    """Minutes and the service level, in which neither dry runs nor canaries count."""
    _at_minutes(changes, lane, facts, plan, before)
    more = _deliveries(plan) - (_deliveries(before) if before is not None else 0)
    if more:
        changes.seen.append(slo.ClassPlanned(facts.klass, facts.due_at or facts.created_at, timestamp_ms, more))


def _deliveries(plan: Plan) -> int:
    return sum(plan.platforms.values()) + plan.other


def _at_minutes(changes: PendingRows, lane: str, facts: PlannedFacts, plan: Plan, before: Plan | None) -> None:
    due_at = facts.due_at or facts.created_at
    for each, sign in ((before, -1), (plan, 1)):
        if each is None:
            continue
        for platform, count in each.platforms.items():
            changes.minutes.of(due_at, facts.app, facts.klass, platform, lane).planned += sign * count
        if each.other:
            changes.minutes.of(due_at, facts.app, facts.klass, "", lane).planned += sign * each.other


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
    if sums.id.startswith(CANARY_ID):
        return  # nobody looks for it in a list of campaigns
    if not sums.created_at or created_at < sums.created_at:
        if sums.created_at:
            changes.put(rows.list_key(sums.created_at, name), None)
        changes.put(rows.list_key(created_at, name), b"")
        sums.created_at, sums.app, sums.klass = created_at, app, klass
