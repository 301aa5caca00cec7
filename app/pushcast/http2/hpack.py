"""HPACK (RFC 7541): an exact encoder table for shared headers, and decoding of what servers answer."""

from __future__ import annotations

from collections import deque
from typing import Final

from hpack import Decoder, HPACKError
from hpack.table import HeaderTable

from pushcast.http2.block_reader import read_block
from pushcast.http2.errors import PeerViolation
from pushcast.http2.frames import COMPRESSION_ERROR, DEFAULT_HEADER_TABLE_BYTES
from pushcast.http2.request import Template

_STATIC_FIELD: Final[dict[tuple[bytes, bytes], int]] = {}
_STATIC_NAME: Final[dict[bytes, int]] = {}
for _position, (_name, _value) in enumerate(HeaderTable.STATIC_TABLE, 1):
    _STATIC_FIELD.setdefault((_name, _value), _position)
    _STATIC_NAME.setdefault(_name, _position)
_FIRST_DYNAMIC: Final = len(HeaderTable.STATIC_TABLE) + 1
_ENTRY_OVERHEAD_BYTES: Final = 32
_INDEXED: Final = 0x80
_INCREMENTAL: Final = 0x40
_RESIZE: Final = 0x20
_WITHOUT_INDEXING: Final = 0x00


def encode_integer(value: int, prefix_bits: int, pattern: int) -> bytes:
    """RFC 7541 §5.1; `pattern` fills the bits in front of the prefix."""
    limit = (1 << prefix_bits) - 1
    if value < limit:
        return bytes((pattern | value,))
    octets = bytearray((pattern | limit,))
    value -= limit
    while value >= 128:
        octets.append(value & 127 | 128)
        value >>= 7
    octets.append(value)
    return bytes(octets)


def encode_length(length: int) -> bytes:
    """The length in front of a string that is not Huffman-coded."""
    return _LENGTHS[length] if length < 256 else encode_integer(length, 7, 0)


_LENGTHS: Final = [encode_integer(_length, 7, 0) for _length in range(256)]


def encode_string(value: bytes) -> bytes:
    """A string literal without Huffman coding (RFC 7541 §5.2)."""
    return encode_length(len(value)) + value


def literal_name(name: bytes) -> bytes:
    """The start of a literal without indexing, up to where the value's length follows; needs no table state."""
    return _literal(name, _WITHOUT_INDEXING, 4)


def _literal(name: bytes, pattern: int, prefix_bits: int) -> bytes:
    position = _STATIC_NAME.get(name)
    if position is not None:
        return encode_integer(position, prefix_bits, pattern)
    return bytes((pattern,)) + encode_string(name)


def _entry_bytes(field: tuple[bytes, bytes]) -> int:
    return len(field[0]) + len(field[1]) + _ENTRY_OVERHEAD_BYTES


class EncoderTable:
    """The peer's decoding table as our encoder fills it, evictions included.

    `generation` changes whenever an index that was handed out may be wrong. Every block produced must be sent, in the
    order of production, or both sides part.
    """

    __slots__ = (
        "_capacity_bytes",
        "_entries",
        "_inserted",
        "_number",
        "_smallest_bytes",
        "_told_bytes",
        "_used_bytes",
        "generation",
    )

    def __init__(self) -> None:
        self._capacity_bytes = DEFAULT_HEADER_TABLE_BYTES
        self._told_bytes = DEFAULT_HEADER_TABLE_BYTES
        self._smallest_bytes = DEFAULT_HEADER_TABLE_BYTES
        self._entries: deque[tuple[bytes, bytes]] = deque()
        self._number: dict[tuple[bytes, bytes], int] = {}
        self._inserted = 0
        self._used_bytes = 0
        self.generation = 0

    def set_limit(self, limit_bytes: int) -> None:
        """The peer's SETTINGS_HEADER_TABLE_SIZE. We never use more than 4,096 bytes, whatever is offered."""
        capacity = min(limit_bytes, DEFAULT_HEADER_TABLE_BYTES)
        self._smallest_bytes = min(self._smallest_bytes, capacity)
        self._capacity_bytes = capacity
        self._evict(capacity)
        self.generation += 1

    def take_resize(self) -> bytes:
        """What the next header block must begin with (RFC 7541 §4.2); empty when nothing changed."""
        prefix = b""
        if self._smallest_bytes < self._told_bytes:
            prefix = encode_integer(self._smallest_bytes, 5, _RESIZE)
            self._told_bytes = self._smallest_bytes
        if self._capacity_bytes != self._told_bytes:
            prefix += encode_integer(self._capacity_bytes, 5, _RESIZE)
            self._told_bytes = self._capacity_bytes
        self._smallest_bytes = self._capacity_bytes
        return prefix

    def encode(self, name: bytes, value: bytes) -> bytes:
        """Indexed when the table has it, else a literal that changes nothing."""
        field = (name, value)
        position = _STATIC_FIELD.get(field)
        if position is None and field in self._number:
            position = _FIRST_DYNAMIC + self._inserted - 1 - self._number[field]
        if position is not None:
            return encode_integer(position, 7, _INDEXED)
        return literal_name(name) + encode_string(value)

    def encode_and_index(self, name: bytes, value: bytes) -> bytes:
        """As `encode`, but puts a field the table does not have into it when it takes at most half of it."""
        field = (name, value)
        size = _entry_bytes(field)
        if field in _STATIC_FIELD or field in self._number or size * 2 > self._capacity_bytes:
            return self.encode(name, value)
        self._evict(self._capacity_bytes - size)
        self._entries.append(field)
        self._number[field] = self._inserted
        self._inserted += 1
        self._used_bytes += size
        self.generation += 1
        return _literal(name, _INCREMENTAL, 6) + encode_string(value)

    def _evict(self, room_bytes: int) -> None:
        while self._used_bytes > room_bytes:
            field = self._entries.popleft()
            del self._number[field]
            self._used_bytes -= _entry_bytes(field)


class Compiled:
    """A template on one connection: the bytes between the varying values.

    Segment k ends with the name of varying header k unless that one is optional (its piece then brings the name); the
    last segment ends the block. `intro` fills the table and serves the first request only; None when it is not needed.
    """

    __slots__ = ("generation", "intro", "steady")

    def __init__(self, generation: int, intro: list[bytes] | None, steady: list[bytes]) -> None:
        self.generation = generation
        self.intro = intro
        self.steady = steady


def compile_template(template: Template, table: EncoderTable) -> Compiled:
    """Pseudo-headers first, always (RFC 9113 §8.3; Netty refuses any other order).

    At least one request must follow with `intro` when that is not None.
    """
    resize = table.take_resize()
    before = table.generation
    intro = _segments(template, table, index=True)
    changed = table.generation != before
    steady = _segments(template, table, index=False) if changed else intro
    first = [resize + intro[0], *intro[1:]] if changed or resize else None
    return Compiled(table.generation, first, steady)


def _segments(template: Template, table: EncoderTable, *, index: bool) -> list[bytes]:
    fields = template.shared_fields
    pseudo = sum(1 for name, _ in fields if name.startswith(b":"))
    encoded = [
        table.encode_and_index(name, value)
        if index and name not in template.literal_names
        else table.encode(name, value)
        for name, value in fields
    ]
    names = [b"" if header.optional else literal_name(header.name) for header in template.varying]
    if not isinstance(template.path, bytes):
        segments = [b"".join(encoded[:pseudo]), b"".join(encoded[pseudo:])]
    else:
        segments = [b"".join(encoded)]
    segments += [b""] * (len(names) + 1 - len(segments))
    return [segment + name for segment, name in zip(segments, [*names, b""], strict=True)]


class ResponseDecoder:
    """Decodes header blocks. We announce SETTINGS_HEADER_TABLE_SIZE 0; from its acknowledgement on (`become_stateless`)
    a block can be skipped without harm to the next one."""

    __slots__ = ("_decoder", "stateless")

    def __init__(self, max_list_bytes: int = 65_536) -> None:
        self._decoder = Decoder(max_header_list_size=max_list_bytes)
        self.stateless = False

    def become_stateless(self) -> None:
        self.stateless = True

    def decode(self, block: bytes) -> list[tuple[bytes, bytes]]:
        """Raises PeerViolation (COMPRESSION_ERROR) on anything that is no header block."""
        try:
            if self.stateless:
                return read_block(block)
            return [(bytes(field[0]), bytes(field[1])) for field in self._decoder.decode(block, raw=True)]
        except (HPACKError, ValueError, IndexError) as error:
            raise PeerViolation(
                f"header block of {len(block)} bytes: {type(error).__name__}", COMPRESSION_ERROR
            ) from error


def split_status(fields: list[tuple[bytes, bytes]]) -> tuple[int, tuple[tuple[bytes, bytes], ...]]:
    """Status and the regular headers of a response. Status 0 stands for a malformed one (RFC 9113 §8.1.1)."""
    if not fields or fields[0][0] != b":status":
        return 0, ()
    value = fields[0][1]
    headers = tuple(fields[1:])
    if len(value) != 3 or not value.isdigit() or value < b"100":
        return 0, ()
    if any(name.startswith(b":") or name != name.lower() for name, _ in headers):
        return 0, ()
    return int(value), headers
