"""What receipts add to rows of deliveries, to notes, to minutes and to the service level. Pure.

A reporter reads several ten thousand receipts a second: what is the same for a batch is done once for all of them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection
from typing import Final, NamedTuple

from pushcast.model.words import Outcome, Source
from pushcast.report import engaged, forgotten, rows
from pushcast.report.engaged import Told
from pushcast.report.notes import WITHIN_SECONDS, EndedSums, Kind, add, ended_key, kind_of, variant_key
from pushcast.report.pending import PendingRows
from pushcast.report.rows import DAY_MS, MINUTE_MS, Delivery
from pushcast.report.sketch import bucket_name
from pushcast.report.slo import Times
from pushcast.report.tallies import EndedTally, is_told
from pushcast.wire.answers.receipt_reader import ReadReceipt, Section
from pushcast.wire.answers.receipts import is_of_broadcast

_WALK: Final = int(Source.WALK)
_DUE: Final = int(Source.DUE)
_PERHAPS_OF_BROADCASTS: Final = (_WALK, _DUE)
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
    of_broadcasts = _places_of_broadcasts(receipts)
    of_notes, of_walks = _sums(changes, receipts, of_broadcasts)
    unsummed, unlisted = changes.modes.unsummed, changes.modes.totals
    remembers = changes.engaged or changes.forgets
    if changes.forgets:
        changes.fetch(rows.forgotten_key(each.user) for each in receipts)
    encode, written, count = rows.encode_delivery, changes.rows, _Counted(changes.ended_tally).count
    # As `rows.delivery_key`, without a call for each.
    of_day = rows.deliveries_of_day
    keys = [of_day(each.created_at // DAY_MS) + each.user + b"\0" + each.delivery for each in receipts]
    stored_rows = changes.stored.get_many(keys)
    for place, (key, receipt, stored) in enumerate(zip(keys, receipts, stored_rows, strict=True)):
        section, note_id = receipt.section, receipt.notification_id
        kind: Kind = "notification"
        sums: EndedSums | None = None
        if place in of_broadcasts:
            kind, sums = "broadcast", of_walks[note_id]
        elif section.klass not in unsummed:
            sums = of_notes[note_id]
        elif section.klass in unlisted:
            count(receipt, None)
            continue
        if key in written:
            stored = written[key]  # noqa: PLW2901 - what was written before in this batch
        device, told = receipt.device, engaged.NOTHING
        if stored is not None or remembers:
            found = _place(changes, receipt, kind, key, stored, sums)
            if found is None:
                continue
            key, device, told = found  # noqa: PLW2901 - its place is another one
        fields = (
            receipt.run, note_id, kind, receipt.app, device, section.platform, section.outcome, section.reason,
            receipt.provider_status, receipt.attempts, receipt.created_at, receipt.due_at, receipt.ended_at,
        )  # fmt: skip
        variant = receipt.variant
        written[key] = encode(fields if variant is None else (*fields, variant))
        count(receipt, sums)
        if sums is None:
            continue
        if variant is not None:
            add(sums.variants, variant_key(variant, section.outcome), 1)
        if told is not engaged.NOTHING:
            engaged.count(sums, receipt.due_at, told, 1, variant)


class _Counted:
    """What receipts that count add to sums and tallies. Neighbours mostly end alike and at one time."""

    __slots__ = ("_accepted", "_app", "_ended_key", "_is_walk", "_minute", "_section", "_tally", "_times")

    def __init__(self, tally: EndedTally) -> None:
        self._tally = tally
        self._section: Section | None = None  # of the one before, as the others
        self._app: str | None = None
        self._minute = -1
        self._is_walk = False
        self._accepted = False
        self._ended_key = ""
        self._times: Times = []

    def count(self, receipt: ReadReceipt, sums: EndedSums | None) -> None:
        """One more. `sums` None: of its note nothing is kept."""
        section, due_at, ended_at = receipt.section, receipt.due_at, receipt.ended_at
        minute, is_walk = due_at // MINUTE_MS, receipt.source == _WALK
        if (
            section is not self._section
            or minute != self._minute
            or receipt.app != self._app
            or is_walk is not self._is_walk
        ):
            self._section, self._app, self._minute, self._is_walk = section, receipt.app, minute, is_walk
            self._accepted = section.outcome == _ACCEPTED
            self._ended_key = ended_key(section.platform, section.outcome, section.reason)
            self._times = self._tally.times_of(minute, receipt.app, section, is_walk)
        if is_told(receipt.dry_run, receipt.notification_id):
            self._times.append((due_at, ended_at))
        if sums is None:
            return
        ended, key = sums.ended, self._ended_key
        ended[key] = ended.get(key, 0) + 1
        if self._accepted:
            _count_latency(sums, ended_at - due_at, 1)
        if ended_at > sums.last_ended_at:
            sums.last_ended_at = ended_at


def told_before(changes: PendingRows, receipt: ReadReceipt, until: int) -> Told:
    """What the app told of this delivery before its receipt was read."""
    return engaged.told_of(changes.get, receipt.user, until, receipt.delivery, receipt.created_at)


def _sums(
    changes: PendingRows, receipts: list[ReadReceipt], of_broadcasts: Collection[int]
) -> tuple[dict[str, EndedSums], dict[str, EndedSums]]:
    """Of the notifications and of the broadcasts that these receipts are of, as far as sums are kept."""
    unsummed, full = changes.modes.unsummed, changes.modes.full
    walks = {receipts[place].notification_id for place in of_broadcasts}
    of_notes = receipts
    if walks:
        of_notes = [each for place, each in enumerate(receipts) if place not in of_broadcasts]
    notes = {each.notification_id for each in of_notes if each.section.klass not in unsummed}
    if full:
        for note_id, klass in {(each.notification_id, each.section.klass) for each in of_notes}:
            if klass in full:
                changes.publish("notification", note_id, klass)
    for note_id in walks:
        changes.publish("broadcast", note_id, "")
    return changes.ended.all("notification", notes), changes.ended.all("broadcast", walks)


def _places_of_broadcasts(receipts: list[ReadReceipt]) -> frozenset[int]:
    """Of walks, and of what the keeper held of a broadcast: a notification may have the same id."""
    return frozenset(
        place
        for place, each in enumerate(receipts)
        if each.source in _PERHAPS_OF_BROADCASTS and (each.source == _WALK or _is_held_part(each))
    )


def _is_held_part(receipt: ReadReceipt) -> bool:
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
        if before.variant is not None:
            add(of_before.variants, variant_key(before.variant, before.outcome), -1)
        engaged.count(of_before, before.due_at, told, -1, before.variant)
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
