"""Rows of `push.user.v1` that say how much a user has got lately."""

from __future__ import annotations

from typing import Final

import msgspec

from pushcast.model.caps import Slot, Usage
from pushcast.model.errors import InvalidInput
from pushcast.wire.devices.row_fences import is_row
from pushcast.wire.schemas import avro_type

_USAGE: Final = avro_type("usage")
_KIND: Final = b"\0n\0"


def usage_key(user: str) -> bytes:
    """Row key."""
    return user.encode() + _KIND


def is_usage(key: bytes) -> bool:
    """Whether a row under this key is what a user has got."""
    return is_row(key) and key.endswith(_KIND) and key.find(b"\0") == len(key) - len(_KIND)


def encode_usage(usage: Usage) -> bytes:
    """Value of a row."""
    return _USAGE.encode({"slots": [msgspec.structs.asdict(slot) for slot in usage.slots], "periods": usage.periods})


def readable_usage(value: bytes) -> Usage | None:
    """None for what no keeper of this release wrote."""
    try:
        datum = _USAGE.decode(value)
    except InvalidInput:
        return None
    return Usage(tuple([Slot(**slot) for slot in datum["slots"]]), datum["periods"])
