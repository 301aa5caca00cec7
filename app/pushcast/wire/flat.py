"""Rows whose fields are numbers, texts and bytes, written and read by hand: fastavro takes five times as long.

The bytes are those of the row's schema (tests/laws/test_flat.py). What was written in another release's schema, or is
unreadable, goes through Avro: same answer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar

import msgspec

from pushcast.wire.avro_bytes import FALSE, NULL, SECOND, TRUE, bytes_of, long_at, long_of
from pushcast.wire.schemas import FRAME_BYTES, avro_type

T = TypeVar("T", bound=msgspec.Struct)
Write = Callable[[Any], bytes]
_MAX_HIGHS: Final = 4096
#: What the last four of a long's six bytes are worth.
_highs: dict[bytes, int] = {}
#: Told the bytes and where the field begins; the value, and where it ends. Beyond the end of the bytes: IndexError, or
#: an end that lies beyond it.
Read = Callable[[bytes, int], tuple[Any, int]]


class FlatType(Generic[T]):
    """One schema and the class of its rows, which has a field of the same name for each of the schema's, in its order.

    `usual`: so many fields from the first on differ from row to row; all others mostly have their defaults.
    """

    def __init__(self, name: str, rows: type[T], usual: int) -> None:
        """Raises ValueError for a schema with other fields, or with fields of another kind."""
        self._avro = avro_type(name)
        self.frame = self._avro.frame
        self._rows = rows
        fields = self._avro.source["fields"]
        if [field["name"] for field in fields] != list(rows.__struct_fields__):
            raise ValueError(f"{rows.__name__} has other fields than the schema {name}, or another order")
        kinds = [_kind(field["type"]) for field in fields]
        if unknown := [kind for kind in kinds if kind not in _WRITES]:
            raise ValueError(f"the schema {name} has fields of {unknown[0]}, which is no kind of field that is flat")
        writes = [_WRITES[kind] for kind in kinds]
        reads = [_READS[kind] for kind in kinds]
        self._usual = usual
        self._first_writes, self._more_writes = writes[:usual], writes[usual:]
        self._first_reads, self._more_reads = reads[:usual], reads[usual:]
        defaults = rows.__struct_defaults__
        self._defaults = defaults[len(defaults) - len(fields) + usual :]
        #: The bytes behind the usual fields, where all have their defaults.
        self.rest = b"".join([write(each) for write, each in zip(self._more_writes, self._defaults, strict=True)])

    def encode(self, row: T) -> bytes:
        """Raises ValueError for a number beyond 64 bits."""
        values = msgspec.structs.astuple(row)
        usual = self._usual
        parts = [self.frame, *[write(each) for write, each in zip(self._first_writes, values, strict=False)]]
        more = values[usual:]
        if more == self._defaults:
            parts.append(self.rest)
        else:
            parts += [write(each) for write, each in zip(self._more_writes, more, strict=True)]
        return b"".join(parts)

    def decode(self, value: bytes) -> T:
        """Raises InvalidInput as `AvroType.decode` does."""
        if value[:FRAME_BYTES] == self.frame:
            try:
                values = self._read(value)
            except (ValueError, IndexError):  # Avro says what is wrong
                values = None
            if values is not None:
                return self._rows(*values)
        return self._rows(**self._avro.decode(value))

    def _read(self, value: bytes) -> list[Any] | None:
        """None: there are too few bytes, or too many."""
        at = FRAME_BYTES
        values = []
        for read in self._first_reads:
            found, at = read(value, at)
            values.append(found)
        if at + len(self.rest) == len(value) and value.endswith(self.rest):
            return values
        for read in self._more_reads:
            found, at = read(value, at)
            values.append(found)
        return values if at == len(value) else None


def _kind(schema: Any) -> str:
    """`long`, `string`, …, and `?string` for null or a string."""
    if isinstance(schema, list):
        null, other = schema
        if null == "null":
            return "?" + _kind(other)
        raise ValueError(f"a field is {schema}: null comes first in what is optional")
    return str(schema["type"] if isinstance(schema, dict) else schema)


def read_long(data: bytes, at: int) -> tuple[int, int]:
    """`avro_bytes.long_at`; times share all but their low 14 bits, which are six bytes."""
    low = data[at]
    if low < 0x80:
        return (low >> 1) ^ -(low & 1), at + 1
    high = _highs.get(data[at + 2 : at + 6])
    if high is not None and (middle := data[at + 1]) > 0x7F:
        zigzag = low & 0x7F | (middle & 0x7F) << 7 | high
        return (zigzag >> 1) ^ -(zigzag & 1), at + 6
    found, end = long_at(data, at)
    if end == at + 6:
        if len(_highs) >= _MAX_HIGHS:
            _highs.clear()
        _highs[data[at + 2 : end]] = (found << 1 ^ found >> 63) & ~0x3FFF
    return found, end


def _read_bytes(data: bytes, at: int) -> tuple[bytes, int]:
    size = data[at]
    if size < 0x80 and not size & 1:
        at += 1
        end = at + (size >> 1)
        return data[at:end], end
    size, at = long_at(data, at)
    if size < 0:
        raise ValueError("a size is below zero")
    return data[at : at + size], at + size


def _read_text(data: bytes, at: int) -> tuple[str, int]:
    if not data[at]:
        return "", at + 1
    found, end = _read_bytes(data, at)
    return found.decode(), end


def _read_bool(data: bytes, at: int) -> tuple[bool, int]:
    if data[at] > 1:
        raise ValueError("neither true nor false")
    return data[at] == 1, at + 1


def _optional(write: Write) -> Write:
    return lambda value: NULL if value is None else SECOND + write(value)


def _optional_read(read: Read) -> Read:
    def found(data: bytes, at: int) -> tuple[Any, int]:
        index = data[at]
        if not index:
            return None, at + 1
        if index != SECOND[0]:
            raise ValueError("neither null nor a value")
        return read(data, at + 1)

    return found


_WRITES: Final[dict[str, Write]] = {
    "long": long_of,
    "int": long_of,
    "bytes": bytes_of,
    "string": lambda text: bytes_of(text.encode()),
    "boolean": lambda value: TRUE if value else FALSE,
}
_READS: Final[dict[str, Read]] = {
    "long": read_long,
    "int": read_long,
    "bytes": _read_bytes,
    "string": _read_text,
    "boolean": _read_bool,
}
_WRITES.update({"?" + kind: _optional(write) for kind, write in _WRITES.items()})
_READS.update({"?" + kind: _optional_read(read) for kind, read in _READS.items()})
