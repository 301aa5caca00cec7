"""What receipts add to rows of deliveries, to notes and to minutes. Pure."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from pushcast.model.own import CANARY_ID
from pushcast.model.words import Outcome, Source
from pushcast.report import engaged, forgotten, rows, slo
from pushcast.report.engaged import Told
from pushcast.report.notes import WITHIN_SECONDS, EndedSums, Kind, add, ended_key, kind_of
from pushcast.report.pending import PendingRows
from pushcast.report.rows import Delivery
from pushcast.report.sketch import bucket_name
from pushcast.wire.receipt_reader import ReadReceipt

_WALK: Final = int(Source.WALK)
_ACCEPTED: Final = str(Outcome.ACCEPTED)
_WITHIN_MS: Final = tuple((place, seconds * 1000) for place, seconds in enumerate(WITHIN_SECONDS))
_bucket: Final = lru_cache(maxsize=1 << 16)(bucket_name)


def take_receipts(changes: PendingRows, receipts: list[ReadReceipt]) -> None:
    """A delivery counts once: its receipt of the highest run, and within a run an acceptance before anything else."""
    modes = changes.modes
    keys = [rows.delivery_key(each.created_at, each.user, each.delivery) for each in receipts]
    wanted = {
        rows.ended_key(changes.name(_kind(each), each.notification_id))
        for each in receipts
        if modes.sums_up(_kind(each), each.section.klass)
    }
    changes.fetch((*wanted, *keys))
    for key, receipt in zip(keys, receipts, strict=True):
        kind, section = _kind(receipt), receipt.section
        sums: EndedSums | None = None
        if modes.sums_up(kind, section.klass):
            sums = changes.ended(kind, receipt.notification_id)
            changes.publish(kind, receipt.notification_id, section.klass)
        if modes.lists(kind, section.klass):
            until = forgotten.until_of(changes, receipt.user) if changes.forgets else 0
            told = told_before(changes, receipt, until) if changes.engaged else engaged.NOTHING
            stored = changes.get(key)
            place, device = key, receipt.device
            if until:
                nobodys = rows.delivery_key(receipt.created_at, forgotten.NOBODY, receipt.delivery)
                found, stored = (key, stored) if stored is not None else (nobodys, changes.get(nobodys))
                if receipt.created_at <= until:
                    place, device = nobodys, None
            else:
                found = key
            if stored is not None:
                if not _takes_place(changes, receipt, rows.delivery_of(stored), sums, told):
                    continue
                if found != place:
                    changes.put(found, None)
            changes.put(place, _row(receipt, kind, device))
            if sums is not None:
                _count(sums, section.platform, section.outcome, section.reason, receipt.due_at, receipt.ended_at, told, 1)
                sums.last_ended_at = max(sums.last_ended_at, receipt.ended_at)
        _tell(changes, receipt, section.platform, section.outcome, receipt.due_at, receipt.ended_at, 1)


def told_before(changes: PendingRows, receipt: ReadReceipt, until: int) -> Told:
    """What the app told of this delivery before its receipt was read."""
    return engaged.told_of(changes.get, receipt.user, until, receipt.delivery, receipt.created_at)


def _row(receipt: ReadReceipt, kind: Kind, device: str | None) -> bytes:
    section = receipt.section
    return rows.encode_delivery(
        (
            receipt.run, receipt.notification_id, kind, receipt.app, device, section.platform, section.outcome,
            section.reason, receipt.provider_status, receipt.attempts, receipt.created_at, receipt.due_at,
            receipt.ended_at,
        )
    )  # fmt: skip


def _takes_place(
    changes: PendingRows, receipt: ReadReceipt, before: Delivery, sums: EndedSums | None, told: Told
) -> bool:
    """Whether a receipt counts in place of the row that is there. Then the row no longer does."""
    if before.run >= receipt.run and sums is not None:
        sums.copies += 1
    if before.run > receipt.run or (before.run == receipt.run and before.outcome == _ACCEPTED):
        return False  # a later run counts, and within a run an acceptance is never taken back: the push is on its way
    ended = before.platform, before.outcome, before.reason, before.due_at, before.ended_at
    of_before = sums if before.kind == _kind(receipt) else changes.known(kind_of(before.kind), before.notification)
    if of_before is not None:
        _count(of_before, *ended, told, -1)
    _tell(changes, receipt, before.platform, before.outcome, before.due_at, before.ended_at, -1)
    return True


def _kind(receipt: ReadReceipt) -> Kind:
    return "broadcast" if receipt.source == _WALK else "notification"


def _count(
    sums: EndedSums, platform: str | None, outcome: str, reason: str | None, due_at: int, ended_at: int, told: Told,
    sign: int,
) -> None:  # fmt: skip
    if told is not engaged.NOTHING:
        engaged.count(sums, due_at, told, sign)
    add(sums.ended, ended_key(platform, outcome, reason), sign)
    if outcome == _ACCEPTED:
        latency_ms = ended_at - due_at
        add(sums.latency, _bucket(latency_ms), sign)
        for place, within_ms in _WITHIN_MS:
            if latency_ms <= within_ms:
                sums.within[place] += sign


def _tell(
    changes: PendingRows, receipt: ReadReceipt, platform: str | None, outcome: str, due_at: int, ended_at: int,
    sign: int,
) -> None:  # fmt: skip
    """Minutes and the service level, in which neither dry runs nor canaries count."""
    if receipt.dry_run or receipt.notification_id.startswith(CANARY_ID):
        return
    section = receipt.section
    minute = changes.minutes.of(due_at, receipt.app or "", section.klass, platform or "", section.lane)
    add(minute.ended, outcome, sign)
    if outcome == _ACCEPTED:
        add(minute.latency, _bucket(ended_at - due_at), sign)
    if receipt.source != _WALK:
        changes.seen.append(slo.ClassEnded(section.klass, due_at, ended_at, outcome, sign, section.lane))
