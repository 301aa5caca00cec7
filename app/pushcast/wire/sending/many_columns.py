"""The columns of a message with many targets, each read as a whole where its items are laid out alike.

Ids and tokens of one message mostly have one length, and times, offsets and keys one value: then a column is a few
operations on bytes instead of some for each of its items. Whatever is laid out otherwise is read by Avro, that column
alone.
"""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from itertools import accumulate, chain
from struct import Struct
from typing import Any, Final, TypeVar

from fastavro import parse_schema, schemaless_reader

from pushcast.wire.avro_bytes import END, NULL, long_at, long_of

T = TypeVar("T")
#: Numbers of neighbours: what the column of notifications holds when each has one target.
_RANGE: Final = [long_of(number) for number in range(1000)]
_RANGE_BYTES: Final = b"".join(_RANGE)
_RANGE_ENDS: Final = [0, *accumulate(map(len, _RANGE))]
_MAX_LONG_BYTES: Final = 9
#: The numbers in the first bytes of longs that are not below zero; what those bytes, and others, are worth.
_EVEN: Final = bytes(range(0, 256, 2))
_HALF: Final = bytes((byte & 0x7F) >> 1 for byte in range(256))
_SEVEN_BITS: Final = bytes(byte & 0x7F for byte in range(256))


def uniform_texts(value: bytes, at: int, count: int) -> tuple[list[str], int] | None:
    """`count` texts of one length of one byte, and where they end; None when they are not. Raises ValueError for what
    is no UTF-8, IndexError at the end of the bytes."""
    size = value[at]
    stride = 1 + (size >> 1)
    end = at + count * stride
    if size & 0x81 or end > len(value):
        return None
    first, block = value[at : at + stride], value[at:end]
    if block == first * count:
        return [first[1:].decode()] * count, end
    if block[::stride] != first[:1] * count:
        return None
    text, mark = block.decode(), chr(size)
    # What stands before each text is a character of ASCII, and mostly stands nowhere else.
    if text.count(mark) == count:
        return text[1:].split(mark), end
    if not text.isascii():
        return None
    return [text[start : start + stride - 1] for start in range(1, len(text), stride)], end


def uniform_bytes(value: bytes, at: int, count: int) -> tuple[list[bytes], int] | None:
    """As `uniform_texts`, of bytes of whatever length. Raises IndexError, ValueError."""
    size, start = long_at(value, at)
    stride = start - at + size
    end = at + count * stride
    if size < 0 or end > len(value):
        return None
    block = value[at:end]
    if any(block[place::stride] != block[place : place + 1] * count for place in range(start - at)):
        return None
    return list(chain.from_iterable(Struct(f"{start - at}x{size}s").iter_unpack(block))), end


def uniform_longs(value: bytes, at: int, count: int) -> tuple[list[int], int] | None:
    """As `uniform_texts`, of numbers that are not below zero and take the same count of bytes, of equal ones, and of
    those that count up from 0. Raises IndexError, ValueError."""
    number, start = long_at(value, at)
    width = start - at
    end = at + count * width
    if width > _MAX_LONG_BYTES or end > len(value):
        return None
    block = value[at:end]
    if block == value[at:start] * count:
        return [number] * count, end
    if count < len(_RANGE_ENDS) and value.startswith(_RANGE_BYTES[: _RANGE_ENDS[count]], at):
        return list(range(count)), at + _RANGE_ENDS[count]
    *others, last = (block[place::width] for place in range(width))
    if max(last) > 0x7F or any(min(column) < 0x80 for column in others) or block[::width].translate(None, _EVEN):
        return None
    if width == 1:
        return list(last.translate(_HALF)), end
    first, *middle = others
    numbers = list(last)
    for column in reversed(middle):
        numbers = [high << 7 | part for high, part in zip(numbers, column.translate(_SEVEN_BITS), strict=True)]
    return [high << 6 | part for high, part in zip(numbers, first.translate(_HALF), strict=True)], end


_BY_ITEM: Final[dict[str, Callable[[bytes, int, int], tuple[list[Any], int] | None]]] = {
    "string": uniform_texts,
    "bytes": uniform_bytes,
    "long": uniform_longs,
    "int": uniform_longs,
}


class ManyColumns:
    """The columns of one record of a schema, in the order of its fields."""

    __slots__ = ("_columns",)

    def __init__(self, record: Any) -> None:
        """`record`: the schema of a record of arrays, some of them nullable."""
        self._columns = [_Column(field["name"], field["type"]) for field in record["fields"]]

    def read(self, value: bytes, at: int) -> tuple[dict[str, list[Any] | None], int]:
        """The columns that start at `at`, by name, and where they end. Raises whatever Avro raises for what is none."""
        found: dict[str, list[Any] | None] = {}
        for column in self._columns:
            found[column.name], at = column.read(value, at)
        return found, at


class _Column:
    __slots__ = ("_nullable", "_schema", "_uniform", "name")

    def __init__(self, name: str, schema: Any) -> None:
        self.name = name
        self._nullable = isinstance(schema, list)
        self._schema = parse_schema(schema)
        self._uniform = None if self._nullable else _BY_ITEM.get(schema["items"])

    def read(self, value: bytes, at: int) -> tuple[list[Any] | None, int]:
        if self._nullable and value[at : at + 1] == NULL:
            return None, at + 1
        if self._uniform is not None:
            count, start = long_at(value, at)
            found = self._uniform(value, start, count) if count > 0 else None
            if found is not None and value[found[1] : found[1] + 1] == END:
                return found[0], found[1] + 1
        stream = BytesIO(value)
        stream.seek(at)
        column: list[Any] | None = schemaless_reader(stream, self._schema, None)  # type: ignore[assignment]
        return column, stream.tell()
