"""Writes rows of one partition, all outputs under one barrier, and notes them as in flight."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from types import TracebackType
from typing import Final, NamedTuple, Self

from pushcast.model.device import DeviceRow
from pushcast.model.errors import InvalidInput
from pushcast.model.ids import partition_of
from pushcast.model.ownership import Claim
from pushcast.model.partitions import partitions_of
from pushcast.model.user import UserRow
from pushcast.model.words import Lane, Platform, Reason
from pushcast.register.claims import held
from pushcast.register.context import REASON, STEP, Context, Headers
from pushcast.register.names import STAGE
from pushcast.register.tenure import RegisterTenure, Row
from pushcast.register.verdicts import Ending
from pushcast.stream.overlay import OverlayEntry
from pushcast.stream.ports import Barrier
from pushcast.wire import headers, topics
from pushcast.wire.answers.dead_letters import SourceRecord
from pushcast.wire.devices import row_fences
from pushcast.wire.devices.ownership import (
    MAX_CLAIMS,
    EncodedClaim,
    encode_claim,
    encode_held,
    encode_holder_claim,
    join_claims,
)
from pushcast.wire.devices.user_rows import encode_user_row
from pushcast.wire.waiting.notices import Notice, notice_headers

#: 200 topics of 256 bytes, the longest address and room to spare; far below what the devices topic takes.
MAX_ROW_BYTES: Final = 65_536
#: On a row that was written over a void one.
HEALED: Final = b"healed"


#: Value, key and headers of rows that are put together.
_Rows = list[tuple[bytes, bytes, headers.Headers]]


class _Tombstone(NamedTuple):
    key: bytes
    headers: headers.Headers


class Writing:
    """For one stretch without an await: reading a row and writing it are one step. Enter it: rows, and what they claim
    as few records, are put when it is left. Where a token is given up of which FCM is told, the rows follow when Kafka
    has the claims (`RowGate`): give `behind` to who completes the stretch."""

    def __init__(self, context: Context, tenure: RegisterTenure, barrier: Barrier) -> None:
        self._context = context
        self._partition = tenure.number
        self._overlay = tenure.overlay
        self._constant = tenure.headers
        self._gate = tenure.gate
        self._barrier = barrier
        self.behind: Barrier = tenure.gate.behind(barrier)
        self._rows: _Rows = []  # behind the newest tombstone
        self._lots: list[_Rows | _Tombstone] = [self._rows]
        self._claims: list[EncodedClaim] = []
        self._claims_tag = b""
        self._telling: list[tuple[SourceRecord, Claim]] = []  # claims of mirrored apps, with what FCM is told

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """After an error nothing is done: the events are handled again."""
        if error is None:
            self._gate.run(self._put_all)

    def _put_all(self) -> None:
        """Claims of one token keep their order: those of mirrored apps have records of their own, and all claims of
        their tokens are among them."""
        if not self._telling:
            self._put_rows()
            self._put_claims()
            return
        context = self._context
        gives_up = any(claim.over and claim.holder is not None for _, claim in self._telling)
        first = context.outbox.barrier() if gives_up else self._barrier
        for record, claim in self._telling:
            digest, value = encode_holder_claim(claim) if claim.holder is not None else _alone(encode_claim(claim))
            partition = partition_of(digest, context.partitions)
            added = [(headers.CE_ID, _tag(record)), *context.claim_headers]
            context.outbox.put(first, context.names.claim, partition, value, digest, added)
        self._put_claims()
        if first is self._barrier:
            self._put_rows()
        else:
            self._gate.after(first, self._put_rows)

    def device(
        self, record: SourceRecord, key: bytes, row: DeviceRow, field: str, step: str = "", reason: str = ""
    ) -> None:
        """Raises InvalidInput (too_large) naming `field`, then without output."""
        value = self._context.encode(row)
        if len(value) > MAX_ROW_BYTES:
            raise InvalidInput(
                Reason.TOO_LARGE, f"the device's row would have {len(value)} bytes; at most {MAX_ROW_BYTES}", field
            )
        self._row(record, key, row, value, _why(step, reason))

    def gone(self, record: SourceRecord, key: bytes, row: DeviceRow, reason: str, step: str = Ending.REMOVED) -> None:
        """The marker of a removed device. It is below every limit: it has an id and times alone."""
        self._row(record, key, row, self._context.encode(row), _why(step, reason))

    def user(self, record: SourceRecord, key: bytes, row: UserRow) -> None:
        """A user's own row. Raises InvalidInput (too_large), then without output."""
        value = encode_user_row(row)
        if len(value) > MAX_ROW_BYTES:
            raise InvalidInput(
                Reason.TOO_LARGE, f"the user's row would have {len(value)} bytes; at most {MAX_ROW_BYTES}", "threads"
            )
        self._row(record, key, row, value, [])

    def nothing(self, record: SourceRecord, key: bytes, reason: str) -> None:
        """A tombstone: nothing of the row is kept."""
        self._row(record, key, None, None, _why(Ending.REMOVED, reason))

    def claims(self, record: SourceRecord, claims: Iterable[Claim]) -> None:
        """For OWN, in the partitions of their tokens."""
        for claim in claims:
            if self._is_mirrored(claim.token.app, claim.token.platform):
                self._telling.append((record, claim))
            else:
                self._claim(record, encode_claim(claim))

    def held(self, record: SourceRecord, key: bytes, row: DeviceRow) -> None:
        """The claim of a row that takes no other's place: `claims.registered`, in one step."""
        if self._context.mirrored and self._is_mirrored(row.app, row.platform):
            self.claims(record, [claim for claim in (held(key, row),) if claim is not None])
        else:
            self._claim(record, encode_held(row, record.key or b""))

    def restated(self, record: SourceRecord, claims: Iterable[Claim | None]) -> None:
        """Claims that OWN has already, for what they say of topics: nothing where none are mirrored."""
        self.claims(record, [claim for claim in claims if claim is not None and self._tells(claim)])

    def _tells(self, claim: Claim) -> bool:
        return claim.holder is not None and claim.token.app in self._context.mirrored

    def _is_mirrored(self, app: str, platform: str) -> bool:
        return app in self._context.mirrored and platform == Platform.FCM

    def _claim(self, record: SourceRecord, claim: EncodedClaim) -> None:
        if not self._claims:
            self._claims_tag = _tag(record)
        self._claims.append(claim)

    def _put_claims(self) -> None:
        if not self._claims:
            return
        context = self._context
        made, self._claims = self._claims, []
        added = [(headers.CE_ID, self._claims_tag), *context.claim_headers]
        by_partition: dict[int, list[EncodedClaim]] = {}
        partitions = partitions_of([digest for digest, _ in made], context.partitions)
        for partition, claim in zip(partitions, made, strict=True):
            by_partition.setdefault(partition, []).append(claim)
        for partition, claims in by_partition.items():
            for start in range(0, len(claims), MAX_CLAIMS):
                part = claims[start : start + MAX_CLAIMS]
                context.outbox.put(self._barrier, context.names.claim, partition, join_claims(part), part[0][0], added)

    def notice(self, record: SourceRecord, notice: Notice) -> None:
        """For KEEP, of the record's user."""
        added = [(headers.CE_ID, _tag(record)), *notice_headers(notice)]
        self._put(topics.keep(Lane.URGENT), b"", record.key, added)

    def tell(self, record: SourceRecord, value: bytes, step: str, reason: str) -> None:
        """A step of a suspension, for the hold topic; `suspended` is what the hold is later read from."""
        told = self._context.hold_headers(_tag(record), step, reason)
        self._put(self._context.names.hold, value, record.key, told)

    def over(self, key: bytes, void_offset: int) -> None:
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
            value = context.table.get(self._partition, key) if entry is None else self._encoded(entry.row)
        tag = f"{context.names.device}/{self._partition}/{void_offset}".encode()
        self._put(context.names.device, value, key, [(headers.CE_ID, tag), *self._constant, *added])

    def _encoded(self, row: Row | None) -> bytes | None:
        if row is None:
            return None
        return encode_user_row(row) if isinstance(row, UserRow) else self._context.encode(row)

    def _row(self, record: SourceRecord, key: bytes, row: Row | None, value: bytes | None, why: Headers) -> None:
        tag = _tag(record)
        added = [(headers.CE_ID, tag), *self._constant, *why]
        if record.headers:
            trace = headers.first(record.headers, headers.TRACEPARENT)
            if trace is not None:
                added.append((headers.TRACEPARENT, trace))
        self._overlay.put(record.key or b"", key, OverlayEntry(row, tag))
        if value is None:
            self._rows = []
            self._lots += (_Tombstone(key, added), self._rows)
        else:
            self._rows.append((value, key, added))

    def _put_rows(self) -> None:
        """In their order: several may have one key."""
        topic = self._context.names.device
        for lot in self._lots:
            if isinstance(lot, _Tombstone):
                self._put(topic, None, lot.key, lot.headers)
            elif lot:
                self._context.put_many(self._barrier, topic, self._partition, lot)

    def _put(self, topic: str, value: bytes | None, key: bytes | None, added: headers.Headers) -> None:
        self._context.outbox.put(self._barrier, topic, self._partition, value, key=key, headers=added)


def _alone(claim: EncodedClaim) -> tuple[bytes, bytes]:
    """Key and value of a record with this claim."""
    return claim[0], join_claims((claim,))


def _why(step: str, reason: str) -> Headers:
    if not (step or reason):
        return []
    return [(name, word.encode()) for name, word in ((STEP, step), (REASON, reason)) if word]


def _tag(record: SourceRecord) -> bytes:
    """Names what this record writes, for ever: an event writes a key at most once."""
    return b"%b%d" % (_place(record.topic, record.partition), record.offset)


@lru_cache(maxsize=1024)
def _place(topic: str, partition: int) -> bytes:
    return f"{topic}/{partition}/".encode()
