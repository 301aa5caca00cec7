"""Local times: which of a user's devices are due, by the zone of each. Pure; times are milliseconds since the epoch.

A notification with a local time wakes when the first of its devices is due. Those that are due by then are planned, and
the rest waits on, with the names of all that were planned: no device gets it twice, wherever it travels meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, tzinfo
from hashlib import blake2b
from typing import Final, NamedTuple

import msgspec

from pushcast.model.notification import Notification
from pushcast.model.timing import spread_of
from pushcast.model.zones import zone_of
from pushcast.wire.row_reader import Device, registered_at_ms, seen_at_ms, time_zone_of

NAME_BYTES: Final = 8


class Share(NamedTuple):
    """`now`: devices that are due. `due_at`: the latest of their times. `later_at`: when the next of the others is;
    None: no other waits. `assumed`: devices without a zone of their own, or with one that there is not."""

    now: list[Device]
    due_at: int
    later_at: int | None
    assumed: int


def name_of(device: Device) -> bytes:
    """8 bytes that stand for a device of the user among those that were planned."""
    return blake2b(device.key, digest_size=NAME_BYTES).digest()


def names_in(done: bytes) -> set[bytes]:
    """Devices that were planned already."""
    return {done[at : at + NAME_BYTES] for at in range(0, len(done), NAME_BYTES)}


def share(
    note: Notification,
    devices: Sequence[Device],
    done: bytes,
    now_ms: int,
    default: Callable[[str], tzinfo],
) -> Share:
    """`default`: zone of an app's devices that have none. The notification has a local time without a zone."""
    timing = note.timing
    if timing is None:
        raise ValueError("this notification has no local time")
    planned, later = names_in(done), list[int]()
    now, latest, assumed = list[Device](), 0, 0
    of_user = _zone_of_user(devices) if timing.of_user else None
    for device in devices:
        if planned and name_of(device) in planned:
            continue
        zone = of_user or _zone(device)
        if zone is None:
            zone, assumed = default(device.app), assumed + 1
        its_own = timing.at_last_seen(seen_at_ms(device), zone) if timing.last_active else timing
        due = its_own.due_in(zone, note.created_at)
        if due is None:
            continue
        due += spread_of(note.user, note.campaign or note.id, timing.spread_ms)
        if due <= now_ms:
            now.append(device)
            latest = max(latest, due)
        else:
            later.append(due)
    return Share(now, latest, min(later, default=None), assumed)


def nobody(note: Notification, zone: tzinfo) -> int | None:
    """When it is due for a user without devices: some may come until then. None: it is over."""
    if note.timing is None:
        return None
    return note.created_at if note.timing.last_active else note.timing.due_in(zone, note.created_at)


def dated(note: Notification, due_at: int) -> Notification:
    """The notification as it is for devices that are due then: a time to live counts from there."""
    expires_at = due_at + note.ttl_ms if note.ttl_ms else note.expires_at
    return msgspec.structs.replace(note, due_at=due_at, expires_at=expires_at)


def _zone(device: Device) -> tzinfo | None:
    name = time_zone_of(device)
    return None if name is None else zone_of(name)


def _zone_of_user(devices: Sequence[Device]) -> tzinfo | None:
    """That of the device that was registered last and has one."""
    for device in sorted(devices, key=registered_at_ms, reverse=True):
        if (zone := _zone(device)) is not None:
            return zone
    return None


def zone_or_utc(name: str) -> tzinfo:
    """A configured zone, which was checked when it was read."""
    return zone_of(name) or UTC
