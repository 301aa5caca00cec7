"""Where a user's devices are: what quiet hours and local times go by."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo

from pushcast.model.preferences import Wishes
from pushcast.model.zones import zone_of
from pushcast.wire.row_reader import Device
from pushcast.wire.row_tail import registered_at_ms, time_zone_of


def place_of(
    device: Device, devices: Sequence[Device], wishes: Wishes, default: tzinfo, *, of_user: bool = False
) -> tuple[tzinfo, bool]:
    """Where a device is: where it says, where its user says, where the user's last device is, or where the app is; and
    whether it or its user said so. `default`: the app's. `of_user`: where the user is, wherever the device."""
    own = None if of_user else _own_zone(device)
    if own is not None:
        return own, True
    chosen = wishes.time_zone(device.app)
    if chosen is not None and (zone := zone_of(chosen)) is not None:
        return zone, True
    seen_last = zone_of_user(devices)
    if seen_last is not None:
        return seen_last, of_user
    return default, False


def zone_of_user(devices: Sequence[Device]) -> tzinfo | None:
    """That of the device that was registered last and has one."""
    for device in sorted(devices, key=registered_at_ms, reverse=True):
        if (zone := _own_zone(device)) is not None:
            return zone
    return None


def _own_zone(device: Device) -> tzinfo | None:
    name = time_zone_of(device)
    return None if name is None else zone_of(name)
