"""Avro's primitive encodings by hand, for records that are written or read many thousand times a second.

https://avro.apache.org/docs/1.12.0/specification/#binary-encoding
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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
_LOW = tuple(bytes((low & 0x7F | 0x80, low >> 7 | 0x80)) for low in range(1 << 14))  # two bytes, more follow
_highs: dict[int, bytes] = {}  # what follows; neighbouring offsets and times share it


def long_of(value: int) -> bytes:
    """An int or long: zigzag, so that small negative numbers are short too. Raises ValueError beyond 64 bits."""
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
    return (_SHORT[size << 1] if size < 1 << 13 else long_of(size)) + data


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
