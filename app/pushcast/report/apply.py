"""Records of the books applied to the rows of one partition. Pure: the rows are a mapping, what changes is returned."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple, cast

from pushcast.handover.fences import author_of
from pushcast.model.device import Operation
from pushcast.model.errors import InvalidInput
from pushcast.model.own import CANARY_ID
from pushcast.model.words import Outcome, Source
from pushcast.report import engaged, notes, rows, slo
from pushcast.report.engaged import Told
from pushcast.report.modes import EVERYTHING, Modes
from pushcast.report.notes import WITHIN_SECONDS, Note, add, ended_key, note_hash
from pushcast.report.rows import Delivery, Meta, Plan
from pushcast.report.sketch import bucket_name
from pushcast.report.slo import Seen
from pushcast.wire import topics
from pushcast.wire.devices import DeviceChangeDecoder
from pushcast.wire.engagement import EngagementDecoder
from pushcast.wire.headers import Headers
from pushcast.wire.keys import user_of
from pushcast.wire.legs import Leg, decode_leg
from pushcast.wire.newer import waited_for
from pushcast.wire.receipt_reader import ReadReceipt, read_receipt
from pushcast.wire.receipts import Planned, decode_planned

BOOKS: Final = (topics.PLANNED, topics.WALKED, topics.RECEIPT, topics.ENGAGEMENT, topics.DEVICE_CHANGED)
#: Those that users' apps write: their records have a user as key, and a time that counts.
OF_USERS: Final = frozenset({topics.ENGAGEMENT, topics.DEVICE_CHANGED})
#: Those whose records' times count.
TIMED: Final = OF_USERS | {topics.PLANNED}
_WALK: Final = int(Source.WALK)
_ACCEPTED: Final = str(Outcome.ACCEPTED)
_WITHIN_MS: Final = tuple((place, seconds * 1000) for place, seconds in enumerate(WITHIN_SECONDS))
Get = Callable[[bytes], bytes | None]


class BookEntry(NamedTuple):
    """A record of one of the books. Only those of users need a key and a time."""

    offset: int
    value: bytes | None
    headers: Headers = ()
    key: bytes | None = None
    timestamp_ms: int = 0


class PendingRows:
    """Rows over those that are stored: reads see what was written before, and a note is encoded once for all."""

    def __init__(self, get: Get, modes: Modes = EVERYTHING) -> None:
        self._modes = modes
        self._get = get
        self.seen: Seen = []  # for the service level
        self._rows: dict[bytes, bytes | None] = {}
        self._notes: dict[tuple[str, str], tuple[bytes, Note]] = {}  # by kind and id, with its name
        self.planned: dict[str, int] = {}
        # Whoever has no apps that tell anything pays no look-ups for it.
        self._engaged = get(rows.meta_key(topics.ENGAGEMENT)) is not None

    def get(self, key: bytes) -> bytes | None:
        return self._rows[key] if key in self._rows else self._get(key)

    def put(self, key: bytes, value: bytes | None) -> None:
        """`value` None deletes."""
        self._rows[key] = value

    def note(self, kind: notes.Kind, note_id: str, klass: str = "") -> Note:
        """The note, to be changed in place. One that is not kept is there for one record only."""
        if not self._modes.keeps(kind, klass):
            return Note(note_id, kind)
        found = self._notes.get((kind, note_id))
        if found is None:
            name = note_hash(kind, note_id)
            stored = self._get(rows.note_key(name))
            found = name, Note(note_id, kind) if stored is None else notes.decode(stored)
            self._notes[kind, note_id] = found
        return found[1]

    def name(self, note: Note) -> bytes:
        """What stands for it in keys."""
        known = self._notes.get((note.kind, note.id))
        return note_hash(note.kind, note.id) if known is None else known[0]

    def known(self, kind: notes.Kind, note_id: str) -> Note:
        """The note of a delivery that has ended; one that is not kept is there for one record only."""
        kept = (kind, note_id) in self._notes or self._get(rows.note_key(note_hash(kind, note_id))) is not None
        return self.note(kind, note_id) if kept else Note(note_id, kind)

    def told(self, user: str, delivery: bytes, created_at: int) -> Told:
        """What apps told of a delivery."""
        return engaged.told_of(self.get, user, delivery, created_at) if self._engaged else engaged.NOTHING

    def passed(self, intake: str, offsets: Sequence[int]) -> None:
        """These offsets of an intake topic are planned."""
        if offsets:
            self.planned[intake] = max(self.planned.get(intake, 0), max(offsets) + 1)

    def all(self) -> dict[bytes, bytes | None]:
        """Everything to be written."""
        found = self._rows
        for name, note in self._notes.values():
            found[rows.note_key(name)] = notes.encode(note)
            if self._modes.publishes(note):
                found[rows.CHANGED + name] = b""
        return found


def apply(
    get: Get, topic: str, entries: Sequence[BookEntry], modes: Modes = EVERYTHING, seen: Seen | None = None
) -> dict[bytes, bytes | None]:
    """What these records change; None deletes. Records below the stored offset are left out.

    `seen` gets what they say about the service level. `entries`: in offset order, of the partition whose rows `get`
    reads. Raises NewerSchema: nothing is changed then.
    """
    changes = PendingRows(get, modes)
    meta = rows.meta_of(get(rows.meta_key(topic)))
    take = _TAKES[topic]
    for entry in entries:
        if entry.offset < meta.offset:
            continue
        meta.offset = entry.offset + 1
        try:
            if entry.value is not None and _counts(meta, entry.headers):
                take(changes, entry, entry.value)
            elif entry.value is None:
                _counts(meta, entry.headers)
        except InvalidInput as error:
            waited_for(error, f"{topic}@{entry.offset}")
            add(meta.unreadable, error.reason, 1)
    for intake, offset in changes.planned.items():
        meta.passed[intake] = max(offset, meta.passed.get(intake, 0))
    changes.put(rows.meta_key(topic), rows.encode(meta))
    if seen is not None:
        seen += changes.seen
    return changes.all()


def _counts(meta: Meta, headers: Headers) -> bool:
    """Whether its writer had the partition. A record of an epoch proves that the fence of this epoch lies before it."""
    author = author_of(headers)
    if author is None:
        return True
    if author.epoch < meta.epochs.get(author.origin, -1):
        meta.void += not author.fence
        return False
    meta.epochs[author.origin] = author.epoch
    return not author.fence


def _planned(changes: PendingRows, entry: BookEntry, value: bytes) -> None:
    planned: Planned = decode_planned(value)
    changes.passed(f"{planned.lane}/{planned.source}", planned.source_offset)
    columns = [(name, column) for name, column in planned.platforms.items() if any(column)]
    # What the keeper releases or closes has a row of its own, with another source.
    kept = int(planned.source in (Source.DUE, Source.KEEP))
    accounts = f"{planned.lane}\0{planned.source}\0"
    every = zip(planned.source_offset, planned.notification_id, planned.reason, planned.facts, strict=True)
    for number, (offset, note_id, reason, facts) in enumerate(every):
        note = changes.note("notification", note_id, facts.klass)
        _first_planned(note, planned.at)
        plan = Plan(
            planned.run,
            {name: column[number] for name, column in columns if column[number]},
            planned.other[number],
            facts.held - kept,
            reason,
            reasons={reason: 1} if reason and not facts.held else {},
        )
        key = rows.plan_key(facts.created_at, f"{accounts}{offset}", changes.name(note))
        more = _replace(changes, note, key, plan)
        if more is None:
            continue
        if more and not facts.dry_run and not note_id.startswith(CANARY_ID):
            due_at = facts.due_at or facts.created_at
            changes.seen.append(slo.ClassPlanned(facts.klass, due_at, entry.timestamp_ms, more))
        if facts.created_at:
            _created(changes, note, facts.created_at, facts.app, facts.klass)
            note.campaign, note.dry_run = note.campaign or facts.campaign, facts.dry_run
            note.expires_at = max(note.expires_at, facts.expires_at)


def _walked(changes: PendingRows, _entry: BookEntry, value: bytes) -> None:
    leg: Leg = decode_leg(value)
    if leg.count_only:
        return
    note = changes.note("broadcast", leg.broadcast)
    _first_planned(note, leg.at)
    platforms = {name: count for name in ("apns", "fcm", "expo", "webpush") if (count := getattr(leg, name))}
    reasons = {reason: count for reason, count in leg.reasons.items() if count}
    plan = Plan(0, platforms, 0, leg.held, leg.reason or "", leg.matched, leg.held_out, reasons)
    account = f"{leg.lane}\0{leg.source}\0{leg.source_offset}\0{leg.leg}"
    key = rows.plan_key(leg.elapsed_from, account, changes.name(note))
    if _replace(changes, note, key, plan) is not None:
        _created(changes, note, leg.elapsed_from, "", "")


def _replace(changes: PendingRows, note: Note, key: bytes, plan: Plan) -> int | None:
    """Counts a planned row in place of an earlier one of the same account: how many deliveries more that are. None: a
    later run stands there."""
    stored = changes.get(key)
    more = _deliveries(plan)
    if stored is not None:
        before = rows.plan_of(stored)
        if before.run > plan.run:
            return None
        _count_plan(note, before, -1)
        more -= _deliveries(before)
    _count_plan(note, plan, 1)
    changes.put(key, rows.encode(plan))
    return more


def _deliveries(plan: Plan) -> int:
    return sum(plan.platforms.values()) + plan.other


def _first_planned(note: Note, at: int) -> None:
    """Also by a row that a later run has replaced already: the order of the two makes no difference."""
    note.first_planned_at = min(note.first_planned_at or at, at)


def _count_plan(note: Note, plan: Plan, sign: int) -> None:
    for platform, count in plan.platforms.items():
        add(note.planned, platform, sign * count)
    for reason, count in plan.reasons.items():
        add(note.not_planned, reason, sign * count)
    note.other += sign * plan.other
    note.held += sign * plan.held
    note.matched += sign * plan.matched
    note.held_out += sign * plan.held_out


def _created(changes: PendingRows, note: Note, created_at: int, app: str, klass: str) -> None:
    """The note's place in the list is that of its first creation."""
    if note.id.startswith(CANARY_ID):
        return  # nobody looks for it in a list of campaigns
    if not note.created_at or created_at < note.created_at:
        name = changes.name(note)
        if note.created_at:
            changes.put(rows.list_key(note.created_at, name), None)
        changes.put(rows.list_key(created_at, name), b"")
        note.created_at, note.app, note.klass = created_at, app, klass


def _receipt(changes: PendingRows, _entry: BookEntry, value: bytes) -> None:
    receipt = read_receipt(value)
    kind: notes.Kind = "broadcast" if receipt.source == _WALK else "notification"
    note = changes.note(kind, receipt.notification_id, receipt.klass)
    delivery = Delivery(
        receipt.run,
        note.id,
        kind,
        receipt.app,
        receipt.device,
        receipt.platform,
        receipt.outcome,
        receipt.reason,
        receipt.provider_status,
        receipt.attempts,
        receipt.created_at,
        receipt.due_at or receipt.created_at,
        receipt.ended_at,
    )
    name = bytes.fromhex(receipt.delivery_id)
    key = rows.delivery_key(delivery.created_at, receipt.user, name)
    told = changes.told(receipt.user, name, delivery.created_at)
    stored = changes.get(key)
    if stored is not None:
        before = rows.delivery_of(stored)
        if before.run >= delivery.run:
            note.copies += 1
        if before.run > delivery.run or (before.run == delivery.run and before.outcome == _ACCEPTED):
            return  # a later run counts, and within a run an acceptance is never taken back: the push is on its way
        _count_delivery(changes.note(cast(notes.Kind, before.kind), note.id, receipt.klass), before, told, -1)
        _seen(changes, receipt, before, -1)
    _count_delivery(note, delivery, told, 1)
    _seen(changes, receipt, delivery, 1)
    note.last_ended_at = max(note.last_ended_at, delivery.ended_at)
    changes.put(key, rows.encode(delivery))


def _seen(changes: PendingRows, receipt: ReadReceipt, delivery: Delivery, sign: int) -> None:
    is_note = receipt.source != _WALK and not receipt.dry_run
    if is_note and not receipt.notification_id.startswith(CANARY_ID):
        ended = receipt.klass, delivery.due_at, delivery.ended_at, delivery.outcome, sign, receipt.lane
        changes.seen.append(slo.ClassEnded(*ended))


def _count_delivery(note: Note, delivery: Delivery, told: Told, sign: int) -> None:
    if told is not engaged.NOTHING:
        engaged.count(note, delivery, told, sign)
    add(note.ended, ended_key(delivery.platform, delivery.outcome, delivery.reason), sign)
    if delivery.outcome == _ACCEPTED:
        latency_ms = delivery.ended_at - delivery.due_at
        add(note.latency, bucket_name(latency_ms), sign)
        for place, within_ms in _WITHIN_MS:
            if latency_ms <= within_ms:
                note.within[place] += sign


def _engagement(changes: PendingRows, entry: BookEntry, value: bytes) -> None:
    event = _engagements.decode(user_of(entry.key), value, entry.timestamp_ms)
    for key, told, changed in engaged.applied(changes.get, event):
        changes.put(key, told)
        for row_key, before, now in changed:
            delivery = rows.delivery_of(changes.get(row_key) or b"")
            note = changes.known(cast(notes.Kind, delivery.kind), delivery.notification)
            engaged.count(note, delivery, before, -1)
            engaged.count(note, delivery, now, 1)


def _device_change(changes: PendingRows, entry: BookEntry, value: bytes) -> None:
    """Who is forgotten has no history before it; sums stay. Other changes mean nothing here."""
    if Operation.FORGET_USER.encode() not in value:
        return
    change = _device_changes.decode(user_of(entry.key), value, entry.timestamp_ms)
    if change.op is not Operation.FORGET_USER:
        return
    key = rows.forgotten_key(change.user)
    until = max(change.at, int.from_bytes(changes.get(key) or b""))
    changes.put(key, until.to_bytes(8))


_engagements: Final = EngagementDecoder()
_device_changes: Final = DeviceChangeDecoder(())
_TAKES: Final[Mapping[str, Callable[[PendingRows, BookEntry, bytes], None]]] = {
    topics.PLANNED: _planned,
    topics.WALKED: _walked,
    topics.RECEIPT: _receipt,
    topics.ENGAGEMENT: _engagement,
    topics.DEVICE_CHANGED: _device_change,
}


def dropped_before(at_ms: int) -> Iterable[tuple[bytes, bytes]]:
    """Ranges of keys that belong to days before that of `at_ms`: [from, to) of each."""
    for prefix in (rows.DELIVERY, rows.PLANNED):
        yield prefix + b"\0\0", prefix + rows.day_of(at_ms)
    yield rows.ENGAGED + b"\0\0", rows.ENGAGED + engaged.first_bucket_of(at_ms)
