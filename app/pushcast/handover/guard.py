"""Keeps out of a source table what a fenced-off writer still writes to the table's topic, and remembers where it did.

A fold of the log: every copy of a partition that reads the fences comes to the same state, and the state is stored in
the copy beside the rows, in one write with them. So it survives a crash, and nothing needs to be read twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

from pushcast.wire import headers as h
from pushcast.wire.devices import row_fences

#: No row can have these keys: rows are keyed by UTF-8 user ids, and 0xff is in no UTF-8. Readers of rows never see
#: them, because they read by the prefix of a user.
INTERNAL = b"\xff\xff"
#: In the copy alone: a key whose last record in the log is void; the value is its offset.
VOID_PREFIX = INTERNAL + b"pushcast-void\0"

Row = tuple[bytes, bytes | None]


class Applied(Protocol):
    """A record of the table's topic."""

    offset: int
    key: bytes | None
    value: bytes | None

    @property
    def headers(self) -> Sequence[tuple[str, bytes | None]]: ...


class Judged(NamedTuple):
    """`rows`: what the copy is to store, in order; None deletes. `admitted`: places in the records, not void."""

    rows: list[Row]
    admitted: list[int]
    void: int


class RowGuard:
    """One partition. A row of the guarded origin with a lower epoch than the last fence before it is void.

    Records of other writers, and those without an origin, count: nothing can void them.
    """

    def __init__(self, origin: str, stored: Iterable[tuple[bytes, bytes]] = ()) -> None:
        """`stored`: the internal rows of the copy, as `judge` gave them."""
        self.epoch = 0
        self.void: dict[bytes, int] = {}  # by key, the offset of the void record that is its last
        self.void_records = 0  # that were judged here
        self._origin_text = origin
        self._origin = origin.encode()
        self._epoch_bytes = b""
        self._origin_header = h.ORIGIN, self._origin
        self._epoch_header: tuple[str, bytes | None] | None = None  # of rows that count
        for key, value in stored:
            if key in row_fences.KEYS:
                self._fence(max(self.epoch, row_fences.epoch_of(key, value, origin) or 0))
            elif key.startswith(VOID_PREFIX):
                self.void[key[len(VOID_PREFIX) :]] = int(value)

    def judge(self, records: Sequence[Applied]) -> Judged:
        """Folds records in offset order, each once."""
        usual = self._usual(records)
        if usual is not None:
            return Judged(usual, list(range(len(usual))), 0)
        rows: list[Row] = []
        admitted: list[int] = []
        void = self.void
        before = self.void_records
        for index, record in enumerate(records):
            key = record.key
            if key is None:
                continue  # a compacted topic refuses records without key; an older log may hold some
            headers = record.headers
            # Rows of one owner, nearly all: they carry its epoch third, behind their tag and their origin.
            current = len(headers) > 2 and headers[2] == self._epoch_header and key not in row_fences.KEYS
            if not current:
                if self._is_void(key, record):
                    self.void_records += 1
                    void[key] = record.offset
                    rows.append((VOID_PREFIX + key, b"%d" % record.offset))
                    continue
                self._remember_owner(headers)
            if void and void.pop(key, None) is not None:
                rows.append((VOID_PREFIX + key, None))
            rows.append((key, record.value))
            admitted.append(index)
        return Judged(rows, admitted, self.void_records - before)

    def _usual(self, records: Sequence[Applied]) -> list[Row] | None:
        """The rows of records that all carry the epoch of rows that count, and none of which is a fence or stands over
        a void one: nearly all lists are so."""
        current, fences = self._epoch_header, row_fences.KEYS
        if current is None or self.void:
            return None
        rows: list[Row] = []
        for record in records:
            headers, key = record.headers, record.key
            if len(headers) < 3 or headers[2] != current or key is None or key in fences:
                return None
            rows.append((key, record.value))
        return rows

    def _is_void(self, key: bytes, record: Applied) -> bool:
        if key in row_fences.KEYS:
            epoch = row_fences.epoch_of(key, record.value, self._origin_text)
            if epoch is None or epoch < self.epoch:
                return True  # void: compaction keeps the last record of the key and would drop the newer fence
            self._fence(epoch)
            return False
        origin = epoch_bytes = None
        for name, value in record.headers:
            if name == h.EPOCH:
                if value == self._epoch_bytes:
                    return False
                epoch_bytes = value
            elif name == h.ORIGIN:
                origin = value
        if origin != self._origin or epoch_bytes is None:
            return False
        epoch = _number(epoch_bytes)
        return epoch is not None and epoch < self.epoch

    def _remember_owner(self, headers: Sequence[tuple[str, bytes | None]]) -> None:
        """Whatever has the epoch of a row that counts, counts too, until a fence is seen: a table that is rebuilt comes
        to the fence, which compaction keeps where it was written last, behind the rows."""
        if len(headers) > 2 and headers[1] == self._origin_header and headers[2][0] == h.EPOCH:
            self._epoch_header = headers[2]

    def _fence(self, epoch: int) -> None:
        self.epoch = epoch
        self._epoch_bytes = b"%d" % epoch
        self._epoch_header = h.EPOCH, self._epoch_bytes


def _number(value: bytes | None) -> int | None:
    try:
        return None if value is None else int(value)
    except ValueError:
        return None
