"""HPACK for a server that sees the same header block thousands of times (RFC 7541).

Two paths give the same answer. The plain one decodes field by field. The other compares a block with the last one of
its length: a block whose bytes are equal everywhere but inside values of literals *without indexing*, while the dynamic
table has not changed, has the same names and the same other values. That is what a multicast client sends (indexes
plus a literal `:path`), and it costs one slice comparison instead of a decode.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from operator import itemgetter
from typing import Any, Final

from hpack.exceptions import HPACKDecodingError
from hpack.huffman_table import decode_huffman
from hpack.table import HeaderTable

from pushcast.http2.errors import PeerViolation
from pushcast.http2.frames import COMPRESSION_ERROR, DEFAULT_HEADER_TABLE_BYTES

Field = tuple[bytes, bytes]

# RFC 7541 Appendix A, as the hpack package carries it; index 1 is the first entry.
STATIC_TABLE: Final[tuple[Field, ...]] = tuple((bytes(n), bytes(v)) for n, v in HeaderTable.STATIC_TABLE)
_STATIC_COUNT: Final = len(STATIC_TABLE)
# RFC 7541 §4.1: what an entry counts beyond its octets.
_ENTRY_OVERHEAD_BYTES: Final = 32
_MAX_SHAPES: Final = 64


class Shape:
    """A header block with holes: every field, and which of their values differ between blocks of this shape.

    `memo` belongs to whoever handles requests: what it concluded from the fixed fields, for the shape's lifetime.
    A shape is only handed out by the decoder (connection) that made it.
    """

    __slots__ = ("_fixed", "_pick", "_values", "fields", "hole_names", "holes", "list_bytes", "memo")

    def __init__(self, fields: tuple[Field, ...], holes: tuple[int, ...] = ()) -> None:
        self.fields = fields
        self.holes = holes
        self.hole_names = tuple(fields[index][0] for index in holes)
        self.list_bytes = sum(len(name) + len(value) + _ENTRY_OVERHEAD_BYTES for name, value in fields)
        self.memo: Any = None
        self._pick: Callable[[bytes], Any] | None = None
        self._fixed: Any = None
        self._values: Callable[[bytes], Any] | None = None

    def fill(self, values: tuple[bytes, ...]) -> list[Field]:
        """All fields in order, with `values` in the holes."""
        fields = list(self.fields)
        for index, value in zip(self.holes, values, strict=True):
            fields[index] = (fields[index][0], value)
        return fields

    def learn(self, block: bytes, spans: list[tuple[int, int]]) -> None:
        """Remembers `block` as the pattern; `spans` are the holes' values in it."""
        slices, start = [], 0
        for low, high in spans:
            slices.append(slice(start, low))
            start = high
        slices.append(slice(start, len(block)))
        self._pick = itemgetter(*slices)
        self._fixed = self._pick(block)
        self._values = itemgetter(*(slice(low, high) for low, high in spans)) if spans else None

    def match(self, block: bytes) -> tuple[bytes, ...] | None:
        """The hole values of a block of the same length, or None when anything else differs."""
        if self._pick is None or self._pick(block) != self._fixed:
            return None
        if self._values is None:
            return ()
        values = self._values(block)
        return values if len(self.holes) > 1 else (values,)


class BlockDecoder:
    """Decodes the header blocks of one connection, in order.

    Raises PeerViolation (COMPRESSION_ERROR) on anything RFC 7541 calls a decoding error; the connection is then lost.
    Keeps at most `table_bytes` of dynamic table and 64 shapes.
    """

    def __init__(self, table_bytes: int = DEFAULT_HEADER_TABLE_BYTES) -> None:
        self._limit_bytes = table_bytes
        self._max_bytes = table_bytes
        self._bytes = 0
        self._table: deque[Field] = deque()
        self._shapes: dict[int, Shape] = {}

    def decode(self, block: bytes) -> tuple[Shape, tuple[bytes, ...]]:
        shape = self._shapes.get(len(block))
        if shape is not None:
            values = shape.match(block)
            if values is not None:
                return shape, values
        return self._decode_fields(block)

    def _decode_fields(self, block: bytes) -> tuple[Shape, tuple[bytes, ...]]:
        fields: list[Field] = []
        holes: list[int] = []
        spans: list[tuple[int, int]] = []
        values: list[bytes] = []
        changed = huffman = False
        at, end = 0, len(block)
        try:
            while at < end:
                first = block[at]
                if first & 0x80:
                    index, at = _integer(block, at, 7)
                    fields.append(self._entry(index))
                elif first & 0xE0 == 0x20:
                    size, at = _integer(block, at, 5)
                    if size > self._limit_bytes or fields:
                        raise PeerViolation("dynamic table size update out of place or range", COMPRESSION_ERROR)
                    self._max_bytes = size
                    self._evict(0)
                    changed = True
                else:
                    indexed = first & 0x40
                    index, at = _integer(block, at, 6 if indexed else 4)
                    if index:
                        name = self._entry(index)[0]
                    else:
                        name, at, coded, _ = _string(block, at)
                    value, at, coded, start = _string(block, at)
                    fields.append((name, value))
                    if indexed:
                        self._insert(name, value)
                        changed = True
                    elif coded:
                        huffman = True
                    else:
                        holes.append(len(fields) - 1)
                        spans.append((start, at))
                        values.append(value)
        except IndexError:
            raise PeerViolation("header block ends inside a field", COMPRESSION_ERROR) from None
        except HPACKDecodingError:
            raise PeerViolation("broken Huffman string in a header block", COMPRESSION_ERROR) from None
        if changed:
            self._shapes.clear()
            return Shape(tuple(fields)), ()
        if huffman:
            return Shape(tuple(fields)), ()
        shape = Shape(tuple(fields), tuple(holes))
        shape.learn(block, spans)
        if len(self._shapes) >= _MAX_SHAPES:
            self._shapes.clear()
        self._shapes[end] = shape
        return shape, tuple(values)

    def _entry(self, index: int) -> Field:
        if 1 <= index <= _STATIC_COUNT:
            return STATIC_TABLE[index - 1]
        index -= _STATIC_COUNT + 1
        if not 0 <= index < len(self._table):
            raise PeerViolation("header index outside both tables", COMPRESSION_ERROR)
        return self._table[index]

    def _insert(self, name: bytes, value: bytes) -> None:
        size = len(name) + len(value) + _ENTRY_OVERHEAD_BYTES
        self._evict(size)
        if size <= self._max_bytes:
            self._table.appendleft((name, value))
            self._bytes += size

    def _evict(self, needed_bytes: int) -> None:
        while self._table and self._bytes + needed_bytes > self._max_bytes:
            name, value = self._table.pop()
            self._bytes -= len(name) + len(value) + _ENTRY_OVERHEAD_BYTES


def _integer(block: bytes, at: int, bits: int) -> tuple[int, int]:
    mask = (1 << bits) - 1
    value = block[at] & mask
    at += 1
    if value < mask:
        return value, at
    shift = 0
    while True:
        octet = block[at]
        at += 1
        value += (octet & 0x7F) << shift
        if not octet & 0x80:
            return value, at
        shift += 7
        if shift > 28:
            raise PeerViolation("header integer larger than 2^32", COMPRESSION_ERROR)


def _string(block: bytes, at: int) -> tuple[bytes, int, bool, int]:
    """(value, position behind it, Huffman coded, position of its first octet)."""
    coded = block[at] & 0x80
    length, start = _integer(block, at, 7)
    end = start + length
    if end > len(block):
        raise PeerViolation("header string is longer than its block", COMPRESSION_ERROR)
    raw = block[start:end]
    if coded:
        return bytes(decode_huffman(raw)), end, True, start
    return raw, end, False, start


def literal(name: bytes, value: bytes) -> bytes:
    """A field as a literal without indexing and without Huffman: every decoder reads it, no state on either side."""
    return b"\x00" + _length(len(name)) + name + _length(len(value)) + value


def status_field(status: int) -> bytes:
    """`:status`, indexed where the static table has it (RFC 7541 Appendix A, 8 to 14)."""
    index = {200: 8, 204: 9, 206: 10, 304: 11, 400: 12, 404: 13, 500: 14}.get(status)
    return bytes((0x80 | index,)) if index else b"\x08\x03%d" % status


def _length(size: int) -> bytes:
    if size < 127:
        return bytes((size,))
    out = bytearray((127,))
    size -= 127
    while size >= 128:
        out.append(size & 0x7F | 0x80)
        size >>= 7
    out.append(size)
    return bytes(out)
