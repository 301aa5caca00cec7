"""How often each key has sealed, over all registrars that ever were: records of `push.where.v1`. Pure.

Key `seals/<instance>`, value JSON. A process tells what it has sealed itself, and what it took over of those that are
gone, so the records that are there add up. What is taken over twice counts twice: the sum is too small by no more than
a minute's seals.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Annotated, Final

import msgspec

from pushcast.model.errors import InvalidInput
from pushcast.wire.json_errors import decoded

#: Who has said nothing for so long is gone.
GONE_SECONDS: Final = 3_600.0
PREFIX: Final = b"seals/"
_Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]


class SealCounts(msgspec.Struct, frozen=True):
    """What a process tells. `seals`: by the id of the key. `at_ms`: when, milliseconds since the epoch."""

    at_ms: _Count
    seals: dict[str, _Count]


_DECODER: Final = msgspec.json.Decoder(SealCounts)


def key_of(instance: str) -> bytes:
    """The record key."""
    return PREFIX + instance.encode()


def encode(counts: SealCounts) -> bytes:
    """The record value."""
    return msgspec.json.encode(counts)


def decode(value: bytes) -> SealCounts:
    """Fields that a later release adds are left out. Raises InvalidInput."""
    return decoded(_DECODER, value)


def told(records: Iterable[tuple[bytes | None, bytes | None]]) -> dict[bytes, SealCounts]:
    """What stands, by record key, from the records of the topic in their order. Others' are left out."""
    last: dict[bytes, bytes | None] = {key: value for key, value in records if key is not None and key[:6] == PREFIX}
    found: dict[bytes, SealCounts] = {}
    for key, value in last.items():
        if value is not None:
            try:
                found[key] = decode(value)
            except InvalidInput:
                continue  # of a release that says it otherwise
    return found


def total(counts: Mapping[bytes, SealCounts]) -> Counter[str]:
    """By the id of the key."""
    found: Counter[str] = Counter()
    for each in counts.values():
        found.update(each.seals)
    return found


def gone(counts: Mapping[bytes, SealCounts], mine: bytes, now_ms: int) -> list[bytes]:
    """Records that this process takes over: of processes that are gone. Only one that is there does so: the first."""
    since = now_ms - GONE_SECONDS * 1000
    there = [key for key, each in counts.items() if each.at_ms >= since or key == mine]
    return [] if min(there, default=mine) != mine else [key for key in counts if key not in there]
