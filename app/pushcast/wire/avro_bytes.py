"""Avro's primitive encodings by hand, for records that are written or read many thousand times a second.

https://avro.apache.org/docs/1.12.0/specification/#binary-encoding
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

T = TypeVar("T")

NULL = b"\x00"  # index 0 of a union
SECOND = b"\x02"  # index 1 of a union, zigzag
END = b"\x00"  # of the blocks of an array or map
ONE = b"\x02"  # a block of one item, zigzag
FALSE, TRUE = b"\x00", b"\x01"

_MAX_HIGHS = 4096
_HIGH_END = 1 << 50  # 64 bits without the 14 low ones


def _varint(rest: int) -> bytes:
    """Seven bits a byte, low first."""
    out = bytearray()
    while rest > 0x7F:
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    out.append(rest)
    return bytes(out)


_SHORT = tuple(_varint(zigzag) for zigzag in range(1 << 14))  # all of one or two bytes
_SIZES_END = 1 << 13
_SIZES = _SHORT[::2]  # of numbers that are not negative
_LOW = tuple(bytes((low & 0x7F | 0x80, low >> 7 | 0x80)) for low in range(1 << 14))  # two bytes, more follow
_highs: dict[int, bytes] = {}  # what follows; neighbouring offsets and times share it
_times: dict[bytes, int] = {}  # what the last four bytes of a time are worth


def long_of(value: int) -> bytes:
    """An int or long: zigzag, so that small negative numbers are short too. Raises ValueError beyond 64 bits."""
    if 0 <= value < _SIZES_END:
        return _SIZES[value]
    zigzag = (value << 1) ^ (value >> 63)
    if zigzag < 1 << 14:
        return _SHORT[zigzag]
    high = zigzag >> 14
    return _LOW[zigzag & 0x3FFF] + (_highs.get(high) or _high(high))


def _high(high: int) -> bytes:
    if high >= _HIGH_END or high < 0:
        raise ValueError("an Avro long has at most 64 bits")
    if len(_highs) >= _MAX_HIGHS:
        _highs.clear()
    made = _highs[high] = _varint(high)
    return made


def bytes_of(data: bytes) -> bytes:
    """Bytes, or a string's UTF-8."""
    size = len(data)
    return (_SIZES[size] if size < _SIZES_END else long_of(size)) + data


def optional_of(text: str | None) -> bytes:
    """A union of null and string."""
    return NULL if text is None else SECOND + bytes_of(text.encode())


def optional_long_of(value: int | None) -> bytes:
    """A union of null and int or long."""
    return NULL if value is None else SECOND + long_of(value)


def optional_bytes_of(data: bytes | None) -> bytes:
    """A union of null and bytes."""
    return NULL if data is None else SECOND + bytes_of(data)


def map_of(texts: Mapping[str, str]) -> bytes:
    """A map of strings, in one block."""
    return array_of([bytes_of(key.encode()) + bytes_of(value.encode()) for key, value in texts.items()])


def array_of(items: Sequence[bytes]) -> bytes:
    """An array of encoded items, in one block."""
    return long_of(len(items)) + b"".join(items) + END if items else END


def long_at(data: bytes, at: int) -> tuple[int, int]:
    """The long that starts at `at`, and where it ends. Raises IndexError beyond the end, ValueError for no long."""
    byte = data[at]
    if byte < 0x80:
        return (byte >> 1) ^ -(byte & 1), at + 1
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (value >> 1) ^ -(value & 1), at
        shift += 7
        if shift > 63:
            raise ValueError("an Avro long has at most ten bytes")


def time_at(data: bytes, at: int) -> tuple[int, int]:
    """As `long_at`, quicker for times: they share all but their low 14 bits, which leaves four of their six bytes."""
    low = data[at]
    if low < 0x80:
        return (low >> 1) ^ -(low & 1), at + 1
    high = _times.get(data[at + 2 : at + 6])
    if high is not None and (middle := data[at + 1]) > 0x7F:
        zigzag = low & 0x7F | (middle & 0x7F) << 7 | high
        return (zigzag >> 1) ^ -(zigzag & 1), at + 6
    found, end = long_at(data, at)
    if end == at + 6:
        if len(_times) >= _MAX_HIGHS:
            _times.clear()
        _times[data[at + 2 : end]] = (found << 1 ^ found >> 63) & ~0x3FFF
    return found, end


def text_at(data: bytes, at: int) -> tuple[str, int]:
    """A string, and where it ends. Beyond the end of the bytes: IndexError, or an end that lies beyond it. Raises
    ValueError for what is no string."""
    size = data[at]
    if not size & 0x81:
        at += 1
        end = at + (size >> 1)
        return data[at:end].decode(), end
    size, at = long_at(data, at)
    if size < 0:
        raise ValueError("a size is below zero")
    end = at + size
    return data[at:end].decode(), end


def optional_at(read: Callable[[bytes, int], tuple[T, int]]) -> Callable[[bytes, int], tuple[T | None, int]]:
    """Reads a union of null and what `read` reads. Raises ValueError for another branch, and what `read` raises."""

    def found(data: bytes, at: int) -> tuple[T | None, int]:
        branch = data[at]
        if not branch:
            return None, at + 1
        if branch != SECOND[0]:
            raise ValueError("neither null nor a value")
        return read(data, at + 1)

    return found
