"""Partitions of many keys at once, at a fifth of the price of one by one: REGISTER needs two for each registration.

A Python integer stands for all keys of one length: each has 64 bits of it. A product of two 32-bit numbers fits into
them, so one multiplication multiplies for every key. tests/laws/test_partitions.py holds it against `murmur2`.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from pushcast.model.ids import partition_of

_M: Final = 0x5BD1E995
_SEED: Final = 0x9747B28C
_BITS_32: Final = 0xFFFFFFFF
_LANE: Final = b"\1" + bytes(7)
#: Fewer are cheaper one by one.
_FEW: Final = 8
_MAX_BYTES: Final = 256  # longer keys are no ids, and come one by one
_WORDS_ARE_OURS: Final = sys.byteorder == "little" and array("I").itemsize == 4


def partitions_of(keys: Sequence[bytes], partitions: int) -> list[int]:
    """`ids.partition_of` of each, in their order."""
    found = [0] * len(keys)
    by_length: dict[int, list[int]] = {}
    for place, key in enumerate(keys):
        by_length.setdefault(len(key), []).append(place)
    for length, places in by_length.items():
        if len(places) < _FEW or not 0 < length <= _MAX_BYTES or not _WORDS_ARE_OURS:
            for place in places:
                found[place] = partition_of(keys[place], partitions)
            continue
        hashes = _murmur2([keys[place] for place in places], length)
        for place, hashed in zip(places, hashes, strict=True):
            found[place] = (hashed & 0x7FFFFFFF) % partitions
    return found


def _murmur2(keys: Sequence[bytes], length: int) -> list[int]:
    """Of keys of one length."""
    ones = _ones(len(keys))
    mask = ones * _BITS_32
    whole, rest = divmod(length, 4)
    padding = bytes(4 - rest) if rest else b""
    words = array("I", padding.join(keys) + padding)
    size = whole + bool(rest)
    h = ones * (_SEED ^ length)
    for word in range(whole):
        k = _lanes(words[word::size]) * _M & mask
        k = (k ^ (k >> 24 & ones * 0xFF)) * _M & mask
        h = (h * _M & mask) ^ k
    if rest:
        h = (h ^ _lanes(words[whole::size])) * _M & mask
    h = (h ^ (h >> 13 & ones * 0x7FFFF)) * _M & mask
    h ^= h >> 15 & ones * 0x1FFFF
    return array("Q", h.to_bytes(8 * len(keys), "little")).tolist()


@lru_cache(maxsize=64)
def _ones(count: int) -> int:
    """A one in each lane."""
    return int.from_bytes(_LANE * count, "little")


def _lanes(words: array[int]) -> int:
    return int.from_bytes(array("Q", words).tobytes(), "little")
