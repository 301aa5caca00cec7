"""What receipts add to rows of deliveries, to notes, to minutes and to the service level. Pure.

A reporter reads several ten thousand receipts a second: what is the same for a batch is done once for all of them.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Final, NamedTuple

from pushcast.model.words import Outcome, Source
from pushcast.report import engaged, forgotten, rows
from pushcast.report.engaged import Told
from pushcast.report.notes import WITHIN_SECONDS, EndedSums, Kind, add, ended_key, kind_of
from pushcast.report.pending import PendingRows
from pushcast.report.rows import Delivery
from pushcast.report.sketch import bucket_name
from pushcast.wire.receipt_reader import ReadReceipt
from pushcast.wire.receipts import is_of_broadcast

_WALK: Final = int(Source.WALK)
_DUE: Final = int(Source.DUE)
_ACCEPTED: Final = str(Outcome.ACCEPTED)
_WITHIN_MS: Final = tuple(seconds * 1000 for seconds in WITHIN_SECONDS)
_SHORTEST_MS: Final = _WITHIN_MS[0]
_FIRST, _SECOND, _THIRD = range(len(WITHIN_SECONDS))
#: By number of the limits that were missed: the places of those that were kept.
_IN_TIME: Final = tuple(tuple(range(missed, len(WITHIN_SECONDS))) for missed in range(len(WITHIN_SECONDS) + 1))


class _Place(NamedTuple):
    """Where a row is put, which device it names, and what the app told of the delivery before."""

    key: bytes
    device: str | None
    told: Told


def take_receipts(changes: PendingRows, receipts: list[ReadReceipt]) -> None:
    """A delivery counts once: its receipt of the highest run, and within a run an acceptance before anything else."""
    of_notes, of_walks = _sums(changes, receipts)
    unsummed, unlisted = changes.modes.unsummed, changes.modes.totals
    remembers = changes.engaged or changes.forgets
    if changes.forgets:
        changes.fetch(rows.forgotten_key(each.user) for each in receipts)
    encode, written, tell = rows.encode_delivery, changes.rows, changes.ended_tally.add
    keys = [rows.delivery_key(each.created_at, each.user, each.delivery) for each in receipts]
    for key, receipt, stored in zip(keys, receipts, changes.stored.get_many(keys), strict=True):
        section, note_id = receipt.section, receipt.notification_id
        kind: Kind = "notification"
        sums: EndedSums | None = None
        if receipt.source == _WALK or _is_part_of_broadcast(receipt):
            kind, sums = "broadcast", of_walks[note_id]
        elif section.klass not in unsummed:
            sums = of_notes[note_id]
        elif section.klass in unlisted:
            tell(receipt)
            continue
        if key in written:
            stored = written[key]  # noqa: PLW2901 - what was written before in this batch
        device, told = receipt.device, engaged.NOTHING
        if stored is not None or remembers:
            place = _place(changes, receipt, kind, key, stored, sums)
            if place is None:
                continue
            key, device, told = place  # noqa: PLW2901 - its place is another one
        written[key] = encode(
            (
                receipt.run, note_id, kind, receipt.app, device, section.platform, section.outcome, section.reason,
                receipt.provider_status, receipt.attempts, receipt.created_at, receipt.due_at, receipt.ended_at,
            )
        )  # fmt: skip
        tell(receipt)
        if sums is not None:
            ended = ended_key(section.platform, section.outcome, section.reason)
            sums.ended[ended] = sums.ended.get(ended, 0) + 1
            if section.outcome == _ACCEPTED:
                _count_latency(sums, receipt.ended_at - receipt.due_at, 1)
            if receipt.ended_at > sums.last_ended_at:
                sums.last_ended_at = receipt.ended_at
            if told is not engaged.NOTHING:
                engaged.count(sums, receipt.due_at, told, 1)


def told_before(changes: PendingRows, receipt: ReadReceipt, until: int) -> Told:
    """What the app told of this delivery before its receipt was read."""
    return engaged.told_of(changes.get, receipt.user, until, receipt.delivery, receipt.created_at)


def _sums(changes: PendingRows, receipts: list[ReadReceipt]) -> tuple[dict[str, EndedSums], dict[str, EndedSums]]:
    """Of the notifications and of the broadcasts that these receipts are of, as far as sums are kept."""
    unsummed, full = changes.modes.unsummed, changes.modes.full
    walks, notes = set(), set()
    for each in receipts:
        if each.source == _WALK or _is_part_of_broadcast(each):
            walks.add(each.notification_id)
        elif each.section.klass not in unsummed:
            notes.add(each.notification_id)
            if each.section.klass in full:
                changes.publish("notification", each.notification_id, each.section.klass)
    for note_id in walks:
        changes.publish("broadcast", note_id, "")
    return changes.ended.all("notification", notes), changes.ended.all("broadcast", walks)


def _is_part_of_broadcast(receipt: ReadReceipt) -> bool:
    """Whether it is of what the keeper held of a broadcast: a notification may have the same id."""
    if receipt.source != _DUE:
        return False
    place = receipt.user.decode(), receipt.app, receipt.device
    return is_of_broadcast(_DUE, receipt.delivery.hex(), receipt.notification_id, *place)


def _place(
    changes: PendingRows, receipt: ReadReceipt, kind: Kind, key: bytes, stored: bytes | None, sums: EndedSums | None
) -> _Place | None:
    """None: it does not count, because another receipt of the delivery does."""
    until = forgotten.until_of(changes, receipt.user)
    told = told_before(changes, receipt, until) if changes.engaged else engaged.NOTHING
    found, place, device = key, key, receipt.device
    if until:
        nobodys = rows.delivery_key(receipt.created_at, forgotten.NOBODY, receipt.delivery)
        if stored is None:
            found, stored = nobodys, changes.get(nobodys)
        if receipt.created_at <= until:
            place, device = nobodys, None
    if stored is not None:
        if not _takes_place(changes, receipt, kind, rows.delivery_of(stored), sums, told):
            return None
        if found != place:
            changes.put(found, None)
    return _Place(place, device, told)


def _takes_place(
    changes: PendingRows, receipt: ReadReceipt, kind: Kind, before: Delivery, sums: EndedSums | None, told: Told
) -> bool:
    """Whether a receipt counts in place of the row that is there. Then the row no longer does."""
    if before.run >= receipt.run and sums is not None:
        sums.copies += 1
    if before.run > receipt.run or (before.run == receipt.run and before.outcome == _ACCEPTED):
        return False  # a later run counts, and within a run an acceptance is never taken back: the push is on its way
    of_before = sums if before.kind == kind else changes.ended.known(kind_of(before.kind), before.notification)
    if of_before is not None:
        add(of_before.ended, ended_key(before.platform, before.outcome, before.reason), -1)
        if before.outcome == _ACCEPTED:
            _count_latency(of_before, before.ended_at - before.due_at, -1)
        engaged.count(of_before, before.due_at, told, -1)
    changes.ended_tally.take_back(receipt, before)
    return True


def _count_latency(sums: EndedSums, latency_ms: int, sign: int) -> None:
    latency, name = sums.latency, bucket_name(latency_ms)
    total = latency.get(name, 0) + sign
    if total:
        latency[name] = total
    else:
        del latency[name]
    within = sums.within
    if latency_ms <= _SHORTEST_MS:  # nearly all
        within[_FIRST] += sign
        within[_SECOND] += sign
        within[_THIRD] += sign
        return
    for place in _IN_TIME[bisect_left(_WITHIN_MS, latency_ms)]:
        within[place] += sign
