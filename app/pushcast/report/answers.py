"""What is told of a note, of a list of notes and of a user's deliveries, as JSON has it. Pure."""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from typing import Any, Final

from pushcast.model.broadcast import size_class
from pushcast.model.errors import InvalidInput
from pushcast.model.words import Reason
from pushcast.report.engaged import NOTHING, Told
from pushcast.report.goal import USUAL, Goal, slo_of
from pushcast.report.notes import OPENED, RECEIVED, WITHIN_SECONDS, Note, outcomes, split_ended, split_variant
from pushcast.report.rows import Delivery
from pushcast.report.sketch import RELATIVE_ERROR, histogram, percentiles
from pushcast.wire.times import MAX_MS, rfc3339

#: Retries and tickets may end a delivery a little after its expiry.
OVERDUE_AFTER_MS: Final = 300_000
SHARES: Final = (0.5, 0.9, 0.99)


def report_of(
    note: Note, now_ms: int, missing: Sequence[int] = (), *, goal: Goal = USUAL, as_of: int | None = None
) -> dict[str, Any]:
    """One report. `missing`: partitions of which nobody answered; their deliveries are not in it. `as_of`: until when
    everything that was written is in it; absent: now.

    `planned` is the sum of all outcomes and of what is open, in every answer.
    """
    accepted = sum(note.latency.values())
    p50, p90, p99, most = percentiles(note.latency, (*SHARES, 1.0))
    planned, ended = note.planned_count, note.ended_count
    return {
        "id": note.id,
        "kind": note.kind,
        "app": note.app or None,
        "class": note.klass or None,
        "campaign": note.campaign or None,
        "dry_run": note.dry_run,
        "created_at": _time(note.created_at),
        "first_planned_at": _time(note.first_planned_at),
        "last_ended_at": _time(note.last_ended_at),
        "audience": size_class(planned),
        "state": state_of(note, now_ms),
        "planned": planned,
        "open": planned - ended,
        "overdue": planned - ended if state_of(note, now_ms) == "overdue" else 0,
        "held": max(0, note.held),
        "outcomes": outcomes(note),
        "platforms": _platforms(note),
        "not_planned": note.not_planned,
        **({"matched": note.matched, "held_out": note.held_out} if note.kind == "broadcast" else {}),
        **({"variants": _variants(note)} if note.variants or note.planned_variants else {}),
        "latency_ms": {"p50": p50, "p90": p90, "p99": p99, "max": most, "relative_error": round(RELATIVE_ERROR, 4)},
        "within_seconds": _shares(note.within, accepted),
        "slo": slo_of(note, goal, now_ms),
        "engagement": {
            "received": note.received,
            "received_within_seconds": _shares(note.received_within, note.received),
            "opened": note.opened,
        },
        "latency_histogram": histogram(note.latency),
        "copies_of_receipts": note.copies,
        "as_of": rfc3339(now_ms if as_of is None else as_of),
        "complete": not missing,
        "missing_partitions": list(missing),
    }


def state_of(note: Note, now_ms: int) -> str:
    """`settled`: everything planned has ended. `overdue`: something should have ended by now. Computed, never kept."""
    if note.planned_count == note.ended_count:
        return "held" if note.held > 0 else "settled"
    return "overdue" if note.expires_at and now_ms > note.expires_at + OVERDUE_AFTER_MS else "sending"


def delivery_of(delivery_id: bytes, row: Delivery, told: Told = NOTHING) -> dict[str, Any]:
    """One line of a user's history."""
    return {
        "delivery": delivery_id.hex(),
        "notification": row.notification,
        "kind": row.kind,
        "app": row.app,
        "device": row.device,
        "platform": row.platform,
        "outcome": row.outcome,
        "reason": row.reason,
        "provider_status": row.provider_status,
        "attempts": row.attempts,
        "created_at": rfc3339(row.created_at),
        "ended_at": rfc3339(row.ended_at),
        "received_at": _time(told.received_at),
        "opened_at": _time(told.opened_at),
    }


def cursor_of(*parts: int | bytes) -> str:
    """A place in a list, which clients give back as they got it."""
    text = ".".join(part.hex() if isinstance(part, bytes) else str(part) for part in parts)
    return urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read_cursor(cursor: str) -> tuple[int, bytes]:
    """(number, name) of `cursor_of`. Raises InvalidInput."""
    try:
        text = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        digits, name = text.split(".")
        number, found = int(digits), bytes.fromhex(name)
        if not 0 <= number <= MAX_MS:  # a minute, or milliseconds: no key of a store has another one
            raise ValueError
        return number, found
    except (ValueError, binascii.Error):
        raise InvalidInput(Reason.INVALID_FIELD, "cursor is none that was given out", "cursor") from None


def _shares(counts: Sequence[int], of: int) -> dict[str, float | None]:
    limits = zip(map(str, WITHIN_SECONDS), counts, strict=True)
    return {seconds: round(count / of, 4) if of else None for seconds, count in limits}


def _platforms(note: Note) -> dict[str, Any]:
    found: dict[str, Any] = {
        name: {"planned": count, "outcomes": {}, "reasons": {}} for name, count in note.planned.items()
    }
    for key, count in note.ended.items():
        platform, outcome, reason = split_ended(key)
        if not platform:
            continue
        row = found.setdefault(platform, {"planned": 0, "outcomes": {}, "reasons": {}})
        row["outcomes"][outcome] = row["outcomes"].get(outcome, 0) + count
        if reason:
            row["reasons"][reason] = row["reasons"].get(reason, 0) + count
    return found


def _variants(note: Note) -> dict[str, Any]:
    """Of a split: what was planned of each, how that ended, and what apps told of it."""
    found: dict[str, Any] = {
        name: {"planned": count, "outcomes": {}, RECEIVED: 0, OPENED: 0}
        for name, count in sorted(note.planned_variants.items())
    }
    for key, count in sorted(note.variants.items()):
        name, what = split_variant(key)
        row = found.setdefault(name, {"planned": 0, "outcomes": {}, RECEIVED: 0, OPENED: 0})
        if what in (RECEIVED, OPENED):
            row[what] = count
        else:
            row["outcomes"][what] = count
    for row in found.values():  # what has ended was planned, also when its leg is yet to be read
        row["planned"] = max(row["planned"], sum(row["outcomes"].values()))
    return found


def _time(at_ms: int) -> str | None:
    return rfc3339(at_ms) if at_ms else None
