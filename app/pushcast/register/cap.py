"""Which device has to go when a user has as many in an app as are allowed. Pure.

The oldest registration goes, suspended ones before all others. A new device that is itself older than all others is
refused, so that a late event costs no live device; a device that is there already costs nobody anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pushcast.model.device import DeviceRow, DeviceState
from pushcast.model.ownership import Registration

OVER_CAP: Final = "over_cap"
#: Markers of removed devices that a user has in an app. Every event of a user reads all rows of the user, so an app
#: that makes up device ids without end must not make each event slower than the one before.
MAX_MARKERS: Final = 1_000


def over_cap(known: Mapping[bytes, DeviceRow], key: bytes, new: DeviceRow, limit: int) -> list[bytes]:
    """Keys of the devices that go when `new` comes, oldest first; `key` among them: it is refused.

    `known`: the user's rows in the app, by key, without those that the new one has overtaken.
    """
    others = {other: row for other, row in known.items() if other != key and not row.is_gone}
    too_many = len(others) + 1 - limit
    if too_many <= 0:
        return []
    rows = {**others, key: new}
    order = sorted(rows, key=lambda each: (rows[each].state != DeviceState.SUSPENDED, rows[each].registered_at, each))
    going = order[:too_many]
    return [key] if key in going else going


def spare_markers(known: Mapping[bytes, DeviceRow], limit: int) -> list[bytes]:
    """Keys of the markers beyond the limit, those that were written first."""
    markers = {key: row.removed_at or row.registered_at for key, row in known.items() if row.is_gone}
    return sorted(markers, key=lambda key: (markers[key], key))[: max(0, len(markers) - limit)]


def overtaken(known: Mapping[bytes, DeviceRow], key: bytes, new: DeviceRow) -> list[bytes]:
    """Keys of the devices that had the new one's token before it: an app that was installed anew makes up a new id."""
    return [
        other
        for other, row in known.items()
        if other != key
        and not row.is_gone
        and row.token_hash == new.token_hash
        and Registration(row.registered_at, other) < Registration(new.registered_at, key)
    ]
