"""Rows whose fields are numbers, texts and bytes, written and read by hand: fastavro takes five times as long.

The bytes are those of the row's schema (tests/laws/test_flat.py). What was written in another release's schema, or is
unreadable, goes through Avro: same answer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar

import msgspec

from pushcast.wire.avro_bytes import (
    FALSE,
    NULL,
    SECOND,
    TRUE,
    bytes_of,
    long_at,
    long_of,
    optional_at,
    text_at,
    time_at,
)
from pushcast.wire.schemas import FRAME_BYTES, avro_type

T = TypeVar("T", bound=msgspec.Struct)
Write = Callable[[Any], bytes]
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


def _read_bool(data: bytes, at: int) -> tuple[bool, int]:
    if data[at] > 1:
        raise ValueError("neither true nor false")
    return data[at] == 1, at + 1


def _optional(write: Write) -> Write:
    return lambda value: NULL if value is None else SECOND + write(value)


_WRITES: Final[dict[str, Write]] = {
    "long": long_of,
    "int": long_of,
    "bytes": bytes_of,
    "string": lambda text: bytes_of(text.encode()),
    "boolean": lambda value: TRUE if value else FALSE,
}
_READS: Final[dict[str, Read]] = {
    "long": time_at,
    "int": time_at,
    "bytes": _read_bytes,
    "string": text_at,
    "boolean": _read_bool,
}
_WRITES.update({"?" + kind: _optional(write) for kind, write in _WRITES.items()})
_READS.update({"?" + kind: optional_at(read) for kind, read in _READS.items()})
