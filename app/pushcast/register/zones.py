"""Whether devices of a user are in different zones: only then something may wait for a later one of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from pushcast.model.device import DeviceRow, DeviceState
from pushcast.register.tenure import Row

#: One that is suspended may be the reason why something waits.
_NOT_THERE: Final = (DeviceState.GONE, DeviceState.STAGED)


def differ(rows: Iterable[Row]) -> bool:
    """`rows`: of one user, the user's own among them, which say a zone, too."""
    first: str | None = None
    for row in rows:
        zone = row.time_zone
        if not zone or (isinstance(row, DeviceRow) and row.state in _NOT_THERE):
            continue
        if first is None:
            first = zone
        elif zone != first:
            return True
    return False
