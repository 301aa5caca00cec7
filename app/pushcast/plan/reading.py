"""The first half of a planner's work: records into notifications, and the rows of their users. Writes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from pushcast.config.settings import Settings
from pushcast.model.clock import Clock
from pushcast.model.errors import InvalidInput
from pushcast.model.notification import Notification
from pushcast.model.own import RESERVED_ID_PREFIXES, is_canary
from pushcast.model.words import Lane, Reason, Source
from pushcast.plan.carried import numbered
from pushcast.plan.contents import NOTHING, Contents, note_of
from pushcast.plan.match import Row
from pushcast.plan.outputs import PlanOutputs, Refused
from pushcast.plan.tenure import PlanTenure
from pushcast.stream.batch import Record
from pushcast.stream.edge import Count
from pushcast.wire import groups, topics
from pushcast.wire import headers as h
from pushcast.wire.events.class_rules import OWN_RULES, class_rules
from pushcast.wire.events.content_sizes import MAX_PAYLOAD_BYTES, check_size
from pushcast.wire.events.notifications import NotificationDecoder
from pushcast.wire.events.timings import FURTHEST_AHEAD_MS, check_spread
from pushcast.wire.keys import user_of
from pushcast.wire.newer import NewerSchema, look
from pushcast.wire.schemas import SchemaSource
from pushcast.wire.waiting.held import released_of
from pushcast.wire.waiting.held_broadcasts import is_held_broadcast

if TYPE_CHECKING:
    from pushcast.stream.table import Table


class Taken(NamedTuple):
    """A slice of a batch, read. Nothing was written for it yet."""

    records: list[Record]
    notes: list[Notification]
    rows: list[list[Row]]
    refused: list[Refused]
    #: The offset from which on it is not to be planned, and why: nothing of the slice is to be, as it is.
    waits: tuple[int, NewerSchema] | None = None


class PlanReading:
    """One lane's reader; it keeps nothing of the records."""

    def __init__(
        self,
        settings: Settings,
        lane: Lane,
        table: Table,
        clock: Clock,
        outputs: PlanOutputs,
        count: Count,
        schemas: SchemaSource | None,
    ) -> None:
        self._rows_read = f"{groups.plan(lane)}|{topics.DEVICE}"  # as the metric has it
        self._lane = lane
        self._table = table
        self._clock = clock
        self._outputs = outputs
        self._count = count
        rules = class_rules(settings.classes)
        spread_ms = settings.keep.bulk_local_spread_seconds * 1000 if lane is Lane.BULK else 0
        self._decoder = NotificationDecoder(
            settings.apps, rules, schemas, max_ahead_ms=settings.keep.max_ahead_ms, local_spread_ms=spread_ms
        )
        self._of_keeper = NotificationDecoder(
            settings.apps,
            {**rules, **OWN_RULES},
            schemas,
            max_ahead_ms=FURTHEST_AHEAD_MS,
            local_spread_ms=spread_ms,
            of_keeper=True,
        )

    def read(self, tenure: PlanTenure, records: Sequence[Record], contents: Contents = NOTHING) -> Taken:
        """Decodes, and looks the users up. `contents`: of the broadcasts among the records."""
        is_event, now_ms = tenure.source is Source.NOTIFICATION, self._clock.now_ms()
        decode = (self._decoder if is_event else self._of_keeper).decode
        taken = Taken([], [], [], [])
        notes, valid = taken.notes, taken.records
        for record in records:
            try:
                trace = h.first(record.headers, h.TRACEPARENT) if record.headers else None
                if is_event:
                    written_at = record.timestamp if record.timestamp >= 0 else now_ms
                else:
                    written_at = self._released(tenure, record)
                if not is_event and record.value and is_held_broadcast(record.value):
                    note = note_of(user_of(record.key), record.value, contents)
                else:
                    note = decode(user_of(record.key), record.value, written_at, trace)
                if is_event and note.id.startswith(RESERVED_ID_PREFIXES) and not is_canary(note.id, note.user):
                    raise InvalidInput(Reason.INVALID_FIELD, f"id: {', '.join(RESERVED_ID_PREFIXES)} are ours", "id")
                if is_event:
                    if len(note.content_key) > MAX_PAYLOAD_BYTES:  # else it certainly fits
                        check_size(note)
                    if note.timing is not None:
                        check_spread(note.timing, self._lane)
                if note.options.badge is not None:
                    note = self._numbered(tenure, record, note)
                notes.append(note)
            except Exception as error:
                taken.refused.append((record, self._outputs.edge.refusal(record, error)))
            else:
                valid.append(record)
        if not notes:
            return taken
        prefixes = [record.key + b"\0" for record in valid if record.key is not None]  # `ids.device_row_prefix`
        rows = self._table.multi_scan(tenure.number, prefixes)
        return taken._replace(rows=rows, waits=self._first_to_wait(valid, rows))

    def _numbered(self, tenure: PlanTenure, record: Record, note: Notification) -> Notification:
        """With the badge as devices show it: of what the keeper let go the keeper's number, else as the event says. One
        that counts up in a dry run counts nothing."""
        if tenure.source is Source.DUE:
            return numbered(note, tenure.released[record.offset].badge)
        return numbered(note, None) if note.options.dry_run else note

    @staticmethod
    def _released(tenure: PlanTenure, record: Record) -> int:
        """Kafka time of the event that a keeper let go; remembers why it ends, if it does. Raises InvalidInput."""
        released = released_of(record.headers)
        if released.closes is not None:
            tenure.closes[record.offset] = released.closes
        tenure.released[record.offset] = released
        return released.written_at

    def _first_to_wait(
        self, records: Sequence[Record], rows: Sequence[Sequence[Row]]
    ) -> tuple[int, NewerSchema] | None:
        """The first record of a user with a row that only a later release can read: it may be a device."""
        looked = look(rows)
        if looked.earlier:
            self._count("earlier_rows", self._rows_read, looked.earlier)
        if looked.waits is None:
            return None
        place, newer = looked.waits
        return records[place].offset, newer

    def reload(self, settings: Settings) -> None:
        """Notifications that come from now on go by these classes."""
        for decoder in (self._decoder, self._of_keeper):
            decoder.change(class_rules(settings.classes))
