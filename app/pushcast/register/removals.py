"""What is left of a device that was removed: a marker with an id and times, against events that come late. Pure.

Without it a registration from before the removal would bring the device back: a tombstone has no time.
"""

from __future__ import annotations

import msgspec

from pushcast.model.device import AddressKind, DeviceRow, DeviceState
from pushcast.model.ids import split_device_row_key
from pushcast.model.user import UserRow

#: Why a row was removed without a provider's verdict.
UNREGISTERED = "unregistered"
USER_FORGOTTEN = "user_forgotten"
TOKEN_MOVED = "token_moved"  # noqa: S105 - a reason, not a secret


def gone(key: bytes, row: DeviceRow | None, at: int, removed_at: int, reason: str, platform: str = "") -> DeviceRow:
    """The marker. Events up to `at` are outdated: the time of the user's event that removed the device, or, when none
    did, that of its last registration. `removed_at`: when the marker was written; it counts its 14 days from there."""
    _, app, device = split_device_row_key(key)
    return DeviceRow(
        app=app,
        device=device,
        platform=platform if row is None else row.platform,
        kind=AddressKind.TOKEN.value,
        address=b"",
        key_id="",
        token_hash=b"",
        state=DeviceState.GONE.value,
        registered_at=at,
        seen_at=at,
        suspended_reason=reason,
        removed_at=removed_at,
    )


def forgotten(row: UserRow | None, at: int) -> UserRow | None:
    """The user's row after a `forget_user` at `at`: preferences from before it are gone. None: nothing changes."""
    if row is None:
        return UserRow(forgotten_at=at)
    if row.forgotten_at is not None and at <= row.forgotten_at:
        return None
    if row.at is not None and row.at > at:
        return msgspec.structs.replace(row, forgotten_at=at)
    return UserRow(forgotten_at=at)
