"""What became of one notification for one user, from the records of the user's partition. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from pushcast.audit.event_ids import event_id, trace_in
from pushcast.audit.hints import Collapsing
from pushcast.handover.fences import Fences
from pushcast.model.device import DeviceState
from pushcast.model.errors import InvalidInput
from pushcast.model.ids import is_user_row
from pushcast.model.words import Lane, Outcome, Platform, Reason, Source
from pushcast.observe.tracing import sampled
from pushcast.wire import groups, topics
from pushcast.wire.answers.dead_letters import PUSH, STREAMS, PlainRecord
from pushcast.wire.answers.receipts import decode_planned, decode_receipt, takes_place
from pushcast.wire.devices.devices import decode_row
from pushcast.wire.events.threads import ThreadReader
from pushcast.wire.headers import FORWARDED, first
from pushcast.wire.keys import user_of
from pushcast.wire.schemas import SchemaSource
from pushcast.wire.sending.batches import decode_batch
from pushcast.wire.sending.retries import DUE_AT, PARKED_FOR, number
from pushcast.wire.times import rfc3339

INTAKES: Mapping[str, Lane] = {topics.notification(lane): lane for lane in Lane}
DEAD: Mapping[str, Lane] = {topics.dead_letter(topic): lane for topic, lane in INTAKES.items()}
#: Where deliveries wait, and the group that takes them on.
WAITING: Mapping[str, str] = {
    **{topics.send(platform, lane): groups.send(platform, lane) for platform in Platform for lane in Lane},
    **{topics.retry(delay): groups.SETTLE for delay in topics.RETRY_DELAY_SECONDS},
    topics.PARKED: groups.SETTLE,
}
#: Read whole.
BOOKS = (*INTAKES, *DEAD, topics.PLANNED, topics.RECEIPT, topics.DEVICE)
_UNREAD = "unread"
_LATEST_MS = 253_402_300_799_000  # the end of the year 9999


class Evidence(NamedTuple):
    """One record that says something of it."""

    topic: str
    partition: int
    offset: int
    at_ms: int
    what: str

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        place = {"topic": self.topic, "partition": self.partition, "offset": self.offset}
        return place | {"at": rfc3339(self.at_ms), "what": self.what}


class CaseRecord(NamedTuple):
    """A source record in the user's partition."""

    lane: str
    source: int
    offset: int


class Wait(NamedTuple):
    """A delivery in a topic that its group has not finished. `due_ms` 0: as soon as it is read."""

    device: str
    topic: str
    due_ms: int
    why: str


class Case:
    """Records go in, in the order of their partitions; `pushcast.audit.answer` says what they amount to."""

    def __init__(self, user: str, note: str, device: str | None = None, schemas: SchemaSource | None = None) -> None:
        """`device`: the only one that is asked about. `schemas`: of Confluent frames."""
        self._schemas = schemas
        self._threads = ThreadReader(schemas)
        self.user, self.note, self.device = user, note, device
        self.events: dict[tuple[Lane, int], bool] = {}  # by lane and offset: whether it was forwarded
        self.dead: list[tuple[str, str]] = []  # reason and message
        self.planned: dict[CaseRecord, tuple[int, int, str]] = {}  # by source record: run, deliveries, reason
        self.receipts: dict[str, dict[str, Any]] = {}  # by delivery id, of the last run
        self.waits: dict[str, Wait] = {}  # by delivery id
        self.rows: dict[bytes, str] = {}  # by key: the device and its state
        self.values: dict[bytes, bytes] = {}  # of the devices topic, all of the user's, by key
        self._suspended: set[bytes] = set()  # keys of those that get nothing
        self.kept_since: dict[str, int | None] = {}  # by topic: since when it is whole; None: from its beginning
        self.seen: dict[tuple[str, str], int] = {}  # by app and device: when it was last heard of
        self.collapsing: list[Collapsing] = []  # events of the user that replace others, in the order of their topics
        self.traces: list[str] = []  # ids of traces that its events are sampled in, in hexadecimal digits
        self.oldest_event_ms: int | None = None  # of what the intake topics still have
        self._needle = note.encode()
        self._fences: dict[str, Fences] = {}
        self._evidence: dict[object, Evidence] = {}

    @property
    def accepted(self) -> list[tuple[str, str]]:
        """(app, device) of deliveries that a provider took."""
        taken = [each for each in self.receipts.values() if each["outcome"] == Outcome.ACCEPTED and each["device"]]
        return [(each["app"] or "", each["device"]) for each in taken]

    @property
    def suspended(self) -> bool:
        """Whether every device that is asked about, and there is one, is suspended."""
        return bool(self.rows) and self._suspended >= self.rows.keys()

    @property
    def planned_here(self) -> dict[CaseRecord, tuple[int, int, str]]:
        """Planned records name no user: those of the user's events, or of receipts whose events retention has taken."""
        sources = {CaseRecord(str(lane), Source.NOTIFICATION, offset) for lane, offset in self.events}
        sources |= {CaseRecord(each["lane"], each["source"], each["source_offset"]) for each in self.receipts.values()}
        return {source: planned for source, planned in self.planned.items() if source in sources}

    @property
    def evidence(self) -> list[Evidence]:
        """In order of time. A planned record of another user's event with the same id is left out."""
        others = {(topics.PLANNED, source) for source in self.planned.keys() - self.planned_here.keys()}
        shown = [each for subject, each in self._evidence.items() if subject not in others]
        return sorted(shown, key=lambda each: (each.at_ms, each.topic, each.offset))

    def record(self, record: PlainRecord) -> None:
        """Any record of the user's partition; those that cannot be read say nothing."""
        try:
            counts = self._fences.setdefault(record.topic, Fences()).stands(record.headers, record.offset)
            if record.topic == topics.DEVICE:
                self._row(record)
            elif record.topic in INTAKES:
                self._event(record)
            elif record.topic in DEAD:
                self._dead_letter(record)
            elif counts and record.value is not None and self._needle in record.value:
                self._of_ours(record, record.value)
        except InvalidInput as error:
            if error.reason == Reason.UNKNOWN_SCHEMA and record.topic in INTAKES and record.key == self.user.encode():
                what = f"an event of the user that cannot be read here, perhaps the one that is asked about: {error}"
                self._note(record, _UNREAD, what)
            # Others are dead letters, or about to be.

    def _of_ours(self, record: PlainRecord, value: bytes) -> None:
        if record.topic == topics.PLANNED:
            self._planned(record, value)
        elif record.topic == topics.RECEIPT:
            self._receipt(record, value)
        else:
            self._waiting(record, value)

    def _event(self, record: PlainRecord) -> None:
        if self.oldest_event_ms is None or record.timestamp < self.oldest_event_ms:
            self.oldest_event_ms = record.timestamp
        self._note_collapse(record)
        if self._is_mine(record):
            forwarded = first(record.headers, FORWARDED) is not None
            self.events[INTAKES[record.topic], record.offset] = forwarded
            self._note(record, record.offset, "the event" + (", forwarded from a wrong partition" if forwarded else ""))
            parent = sampled(trace_in(record, self._schemas))
            if parent is not None and (trace := f"{parent[0]:032x}") not in self.traces:
                self.traces.append(trace)

    def _note_collapse(self, record: PlainRecord) -> None:
        if record.value is None or user_of(record.key) != self.user:
            return
        found, note = self._threads.collapse_id(record.value), event_id(record.value, self._schemas)
        if found is not None and note is not None:
            self.collapsing.append(Collapsing(record.timestamp, note, found.app, found.id))

    def _dead_letter(self, record: PlainRecord) -> None:
        if self._is_mine(record):
            reason, message = (
                (first(record.headers, name) or b"").decode(errors="replace")
                for name in (PUSH + "reason", STREAMS + "message")
            )
            self.dead.append((reason, message))
            self._note(record, record.offset, f"a dead letter: {reason}: {message}")

    def _is_mine(self, record: PlainRecord) -> bool:
        return (
            record.value is not None
            and user_of(record.key) == self.user
            and event_id(record.value, self._schemas) == self.note
        )

    def _planned(self, record: PlainRecord, value: bytes) -> None:
        planned = decode_planned(value)
        for offset, note, total, reason in planned.rows():
            source = CaseRecord(planned.lane, planned.source, offset)
            known = self.planned.get(source)
            if note == self.note and (known is None or planned.run >= known[0]):
                self.planned[source] = planned.run, total, reason
                what = f"planned: deliveries {total}" + (f", {reason}" if reason else "")
                self._note(record, source, what)

    def _receipt(self, record: PlainRecord, value: bytes) -> None:
        receipt = decode_receipt(value)
        if (receipt["user"], receipt["notification_id"]) != (self.user, self.note) or not self._asked(
            receipt["device"]
        ):
            return
        known = self.receipts.get(receipt["delivery_id"])
        if takes_place(receipt["run"], None if known is None else (known["run"], known["outcome"])):
            self.receipts[receipt["delivery_id"]] = receipt
            self._note(record, receipt["delivery_id"], f"receipt{_device(receipt)}: {outcome(receipt)}")

    def _waiting(self, record: PlainRecord, value: bytes) -> None:
        batch = decode_batch(value)
        due_ms = number(record.headers, DUE_AT, _LATEST_MS) or 0
        why = (first(record.headers, PARKED_FOR) or b"").decode(errors="replace")
        for message in batch.messages:
            targets = message.targets
            for index, user in enumerate(targets.user):
                note, device = message.notification_ids[targets.notification[index]], targets.device[index]
                if (user, note) == (self.user, self.note) and self._asked(device):
                    self.waits[targets.delivery_id[index].hex()] = Wait(device, record.topic, due_ms, why)
                    until = f", due at {rfc3339(due_ms)}" if due_ms else ""
                    what = f"delivery to {device} waits{until}" + (f" ({why})" if why else "")
                    self._note(record, (record.topic, device), what)

    def _row(self, record: PlainRecord) -> None:
        key = record.key or b""
        if not key.startswith(self.user.encode() + b"\0"):
            return
        if record.value is None:
            self.values.pop(key, None)
        else:
            self.values[key] = record.value
        if is_user_row(key):
            return
        if record.value is None:
            self.rows.pop(key, None)
            self._evidence.pop(key, None)
            return
        row = decode_row(record.value)
        self._suspended.discard(key)
        if row.state == DeviceState.SUSPENDED:
            self._suspended.add(key)
        if row.is_gone:
            self.rows.pop(key, None)
            self.seen.pop((row.app, row.device), None)
            if self._asked(row.device):
                since = "" if row.removed_at is None else f" at {rfc3339(row.removed_at)}"
                self._note(record, key, f"device {row.device} of {row.app} was removed{since}: {row.suspended_reason}")
        elif self._asked(row.device):
            state = f"{row.state}, registered at {rfc3339(row.registered_at)}"
            if row.suspended_at is not None:
                state += f", suspended at {rfc3339(row.suspended_at)}: {row.suspended_reason}"
            self.seen[row.app, row.device] = row.seen_at
            self.rows[key] = f"device {row.device} of {row.app} on {row.platform} is {state}"
            self._note(record, key, self.rows[key])

    def _asked(self, device: str | None) -> bool:
        """A receipt without a device is about all of them."""
        return self.device is None or device is None or device == self.device

    def _note(self, record: PlainRecord, subject: object, what: str) -> None:
        """The last record of a subject counts."""
        self._evidence[subject if isinstance(subject, bytes) else (record.topic, subject)] = Evidence(
            record.topic, record.partition, record.offset, record.timestamp, what
        )


def outcome(receipt: Mapping[str, Any]) -> str:
    """`rejected (payload_too_large, status 413)`."""
    status = None if receipt["provider_status"] is None else f"status {receipt['provider_status']}"
    details = ", ".join(part for part in (receipt["reason"], status) if part)
    word = "accepted as a dry run" if receipt["dry_run"] and receipt["outcome"] == "accepted" else receipt["outcome"]
    return f"{word} ({details})" if details and receipt["outcome"] != "accepted" else str(word)


def _device(receipt: Mapping[str, Any]) -> str:
    return "" if receipt["device"] is None else f" of {receipt['device']} on {receipt['platform']}"
