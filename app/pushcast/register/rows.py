"""The device rows of one partition as they will be once all that is in flight is applied; reads, decides, writes."""

from __future__ import annotations

from pushcast.model.device import DeviceChange, DeviceRow, Operation
from pushcast.model.errors import InvalidInput
from pushcast.model.ids import device_row_key, device_row_prefix
from pushcast.model.words import Reason
from pushcast.register.decide import PLAIN, Ending, Kept, ending, lifted, removal, suspension, upsert
from pushcast.register.names import STAGE
from pushcast.register.ports import Counters, Doubts
from pushcast.register.tenure import Headers, RegisterTenure
from pushcast.register.tokens import Tokens
from pushcast.stream.batch import Record
from pushcast.stream.overlay import Entry
from pushcast.stream.ports import Barrier, Outbox
from pushcast.stream.table import Table
from pushcast.wire import headers, row_fences
from pushcast.wire.devices import decode_row
from pushcast.wire.newer import waited_for
from pushcast.wire.receipts import TokenInvalid, encode_token_invalid
from pushcast.wire.row_writer import RowWriter
from pushcast.wire.seals import KeyUnknown, Place, SealBroken

#: 200 topics of 256 bytes, the longest address and room to spare; far below what the devices topic takes.
MAX_ROW_BYTES = 65_536
#: On a row or tombstone, and on a record of the hold topic: the step in a suspension's life, and why.
STEP = "push-step"
REASON = "push-reason"
SUSPENDED = "suspended"
#: On a row that was written over a void one.
HEALED = b"healed"
#: Why a row was removed without a verdict.
UNREGISTERED = "unregistered"
USER_FORGOTTEN = "user_forgotten"
#: Why a suspension was lifted: the provider's breaker opened meanwhile, the push service that was given up answered, or
#: the token was registered later.
BREAKER_OPENED = "breaker_opened"
ENDPOINT_ANSWERED = "endpoint_answered"
SOURCE = "/pushcast/register"


class Context:
    """What all changes share: the table, where to write, what to count."""

    def __init__(
        self,
        table: Table,
        outbox: Outbox,
        counters: Counters,
        doubts: Doubts,
        device_topic: str,
        hold_topic: str,
        schema_generation: int = 2,
        tokens: Tokens = PLAIN,
    ) -> None:
        self.table = table
        self.tokens = tokens
        self.doubts = doubts
        self.hold_topic = hold_topic
        self.outbox = outbox
        self.counters = counters
        self.device_topic = device_topic
        self.encode = RowWriter(schema_generation).encode
        event = headers.event("device_row", "", SOURCE)
        self._event_headers = [header for header in event if header[0] != headers.CE_ID]
        held = headers.event("token_invalid", "", SOURCE)
        self._hold_headers = [header for header in held if header[0] != headers.CE_ID]

    def row_headers(self, origin: headers.Headers) -> Headers:
        """What every row of one partition and claim carries."""
        return [*self._event_headers, *origin]

    def hold_headers(self, tag: bytes, step: str, reason: str) -> Headers:
        """What a record of the hold topic carries: `tag` names the record that caused it."""
        return [(headers.CE_ID, tag), *self._hold_headers, (STEP, step.encode()), (REASON, reason.encode())]


class Changes:
    """Applies events of one partition, with all outputs under one barrier.

    It never awaits: reading a row and writing it are one step.
    """

    def __init__(self, context: Context, tenure: RegisterTenure, barrier: Barrier) -> None:
        self._context = context
        self._counters = context.counters
        self._partition = tenure.number
        self._overlay = tenure.overlay
        self._constant = tenure.headers
        self._barrier = barrier

    def apply(self, record: Record, user: str, event: DeviceChange | TokenInvalid, at: int) -> None:
        """Decides what the event changes and produces it. Raises InvalidInput (too_large), then without output."""
        if isinstance(event, TokenInvalid):
            self._suspend(record, event)
        elif event.op is Operation.FORGET_USER:
            self._forget(record, user, at)
        elif event.op is Operation.UNREGISTER:
            kept = self._remove(record, device_row_key(user, event.app, event.device), at, UNREGISTERED)
            self._counters["unregistrations", kept or "removed"] += 1
        else:
            self._register(record, event, at)

    def overwrite(self, key: bytes, void_offset: int) -> None:
        """Writes what is known of a key over a void row, which lies at this offset of the devices topic.

        Uses its own tag and skips the overlay: any write of this key that is in flight carries the same value already.
        """
        context = self._context
        added: Headers = [(STEP, HEALED)]
        value: bytes | None
        if key in row_fences.KEYS:
            value = row_fences.records(f"{STAGE}/{self._partition}", context.table.fenced(self._partition))[key]
            added.append((headers.FENCE, b"1"))
        else:
            entry = self._overlay.of_user(key.partition(b"\0")[0]).get(key)
            if entry is None:
                value = context.table.get(self._partition, key)
            else:
                value = None if entry.row is None else context.encode(entry.row)
        tag = f"{context.device_topic}/{self._partition}/{void_offset}".encode()
        added = [(headers.CE_ID, tag), *self._constant, *added]
        context.outbox.put(self._barrier, context.device_topic, self._partition, value, key=key, headers=added)

    def _register(self, record: Record, event: DeviceChange, at: int) -> None:
        key = device_row_key(event.user, event.app, event.device)
        recorded_at = record.timestamp if record.timestamp > 0 else None
        row = upsert(event, at, self._read(record, key)[0], self._context.tokens, recorded_at=recorded_at)
        if isinstance(row, Kept):
            self._counters["registrations", row] += 1
            return
        value = self._context.encode(row)
        if len(value) > MAX_ROW_BYTES:
            raise InvalidInput(
                Reason.TOO_LARGE, f"the device's row would have {len(value)} bytes; at most {MAX_ROW_BYTES}", "topics"
            )
        self._write(record, key, row, value, self._constant)
        self._counters["registrations", "written"] += 1

    def _forget(self, record: Record, user: str, at: int) -> None:
        context = self._context
        keys = {key for key, _ in context.table.scan(self._partition, device_row_prefix(user))}
        keys.update(self._overlay.of_user(record.key or b""))
        removed = [self._remove(record, key, at, USER_FORGOTTEN) is None for key in sorted(keys)]
        self._counters["users_forgotten", "removed" if any(removed) else "unknown"] += 1

    def _suspend(self, record: Record, event: TokenInvalid) -> None:
        key = device_row_key(event.user, event.app, event.device)
        row = self._read(record, key)[0]
        after = suspension(event, row, self._context.doubts.doubted(event.app, event.platform, event.at))
        if isinstance(after, Kept):
            self._counters["kept_tokens", after] += 1
            return
        if after != row:
            self._write_row(record, key, after, SUSPENDED, event.reason)
            self._counters["suspensions", SUSPENDED] += 1
        # Also when the row is as it is because of this very verdict: its hold may not have been acknowledged.
        self._tell(record, event, SUSPENDED, event.reason)

    def end_hold(self, record: Record, event: TokenInvalid) -> None:
        """Ends the suspension by the verdict of this hold record: removes the row, or lifts it when in doubt.

        Does nothing when the row is not suspended by that verdict any more.
        """
        context = self._context
        key = device_row_key(event.user, event.app, event.device)
        row = self._read(record, key)[0]
        doubted = context.doubts.doubted(event.app, event.platform, event.at)
        reached = (
            event.reason == Reason.ENDPOINT_UNREACHABLE
            and row is not None
            and context.doubts.reached(event.app, self._address(event, row), event.at)
        )
        after = ending(event, row, doubted, reached)
        if isinstance(after, Kept):
            self._counters["holds_over", after] += 1
            return
        if after is Ending.REMOVED:
            reason = event.reason
            self._tombstone(record, key, reason, after)
            self._counters["removals", reason] += 1
        else:
            assert row is not None  # `ending` lifts nothing that is not there
            reason = BREAKER_OPENED if doubted else ENDPOINT_ANSWERED if reached else Kept.REGISTERED_LATER
            self._write_row(record, key, lifted(row), after, reason)
        self._counters["suspensions", after] += 1
        self._tell(record, event, after, reason)

    def _address(self, event: TokenInvalid, row: DeviceRow) -> bytes:
        """As the provider knows it; what cannot be opened is no push service's."""
        place = Place(row.app, row.platform, row.kind, event.user, row.device)
        try:
            return self._context.tokens.opened(row, place)
        except (KeyUnknown, SealBroken):
            return b""

    def _tell(self, record: Record, event: TokenInvalid, step: str, reason: str) -> None:
        """Writes a step of a suspension to the hold topic; `suspended` is what the hold is later read from."""
        context = self._context
        told = context.hold_headers(_tag(record), step, reason)
        value = encode_token_invalid(event)
        context.outbox.put(self._barrier, context.hold_topic, self._partition, value, key=record.key, headers=told)

    def _write_row(self, record: Record, key: bytes, row: DeviceRow, step: str, reason: str) -> None:
        value = self._context.encode(row)
        if len(value) > MAX_ROW_BYTES:
            raise InvalidInput(
                Reason.TOO_LARGE, f"the suspended row would have {len(value)} bytes; at most {MAX_ROW_BYTES}", "reason"
            )
        self._write(record, key, row, value, [*self._constant, (STEP, step.encode()), (REASON, reason.encode())])

    def _remove(self, record: Record, key: bytes, at: int, reason: str) -> Kept | None:
        row, readable = self._read(record, key)
        kept = removal(at, row) if readable else None
        if kept is None:
            self._tombstone(record, key, reason)
        return kept

    def _tombstone(self, record: Record, key: bytes, reason: str, step: str = Ending.REMOVED) -> None:
        self._write(record, key, None, None, [*self._constant, (STEP, step.encode()), (REASON, reason.encode())])

    def _read(self, record: Record, key: bytes) -> tuple[DeviceRow | None, bool]:
        """The row, and False when there is one that nobody can read: it counts as absent, may be replaced or removed,
        and is never a reason to refuse an event. Raises NewerSchema for one that a later release wrote."""
        context = self._context
        entry = self._overlay.of_user(record.key or b"").get(key)
        if entry is not None:
            return entry.row, True
        value = context.table.get(self._partition, key)
        if value is None:
            return None, True
        try:
            return decode_row(value), True
        except InvalidInput as error:
            waited_for(error, f"a row of {context.device_topic}")
            self._counters["unreadable_rows", error.reason] += 1
            return None, False

    def _write(self, record: Record, key: bytes, row: DeviceRow | None, value: bytes | None, constant: Headers) -> None:
        context = self._context
        tag = _tag(record)
        added = [(headers.CE_ID, tag), *constant]
        if record.headers:
            trace = headers.first(record.headers, headers.TRACEPARENT)
            if trace is not None:
                added.append((headers.TRACEPARENT, trace))
        self._overlay.put(record.key or b"", key, Entry(row, tag))
        context.outbox.put(self._barrier, context.device_topic, self._partition, value, key=key, headers=added)


def _tag(record: Record) -> bytes:
    """Names what this record writes, for ever: an event writes a key at most once."""
    return f"{record.topic}/{record.partition}/{record.offset}".encode()
