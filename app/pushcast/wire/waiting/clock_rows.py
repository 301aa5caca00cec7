"""The one record of `push.user.v1` in each partition that is there for its time, and for what due times were made with.

Its key starts with NUL, so it is no row (`row_fences`): readers of rows leave it out.
"""

from __future__ import annotations

from typing import Final

import msgspec

from pushcast.wire.devices.row_fences import NO_ROW
from pushcast.wire.json_errors import UNREADABLE

KEY: Final = NO_ROW + b"push-clock"


class ClockRow(msgspec.Struct, frozen=True):
    """`tzdata`: the version by which the due times of local times were found."""

    tzdata: str


def encode_clock(row: ClockRow) -> bytes:
    """JSON."""
    return msgspec.json.encode(row)


def tzdata_of(value: bytes | None) -> str | None:
    """The version in a stored record; None: there is none that can be read."""
    if value is None:
        return None
    try:
        return msgspec.json.decode(value, type=ClockRow).tzdata
    except UNREADABLE:
        return None
