"""Where a user's devices are: what quiet hours and local times go by."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import tzinfo

from pushcast.model.errors import InvalidInput
from pushcast.model.ids import is_user_row
from pushcast.model.preferences import Wishes
from pushcast.model.zones import zone_of
from pushcast.wire.devices.row_reader import Device, active_device
from pushcast.wire.devices.row_tail import registered_at_ms, seen_at_ms, time_zone_of

#: Where the user is by the user's devices (`home_of`); asked only when neither device nor user says.
Home = Callable[[], tzinfo | None]


def place_of(
    device: Device, home: Home, wishes: Wishes, default: tzinfo, *, of_user: bool = False
) -> tuple[tzinfo, bool]:
    """Where a device is: where it says, where its user says, where the user's last device is, or where the app is; and
    whether it or its user said so. `default`: the app's. `of_user`: where the user is, wherever the device."""
    own = None if of_user else _own_zone(device)
    if own is not None:
        return own, True
    chosen = _chosen(device.app, wishes)
    if chosen is not None:
        return chosen, True
    found = home()
    return (default, False) if found is None else (found, of_user)


def zone_of_user(app: str, home: Home, wishes: Wishes, default: tzinfo) -> tzinfo:
    """Where the user is: as the user says, or else by the user's devices, or else as the app says."""
    return _chosen(app, wishes) or home() or default


def home_of(rows: Sequence[tuple[bytes, bytes]]) -> tzinfo | None:
    """The zone of the user's active device that was heard of last and has one. `rows`: all of the user's.

    Of all apps, whatever is to be sent and to which of them: planner and walk, and a successor that finds some of them
    served, must say the same.
    """
    devices: list[Device] = []
    for key, value in rows:
        if not is_user_row(key):
            try:
                device = active_device(key, value)
            except InvalidInput:
                continue  # whoever plans them counts that
            if device is not None:
                devices.append(device)
    for device in sorted(devices, key=lambda each: (-seen_at_ms(each), -registered_at_ms(each), each.key)):
        if (zone := _own_zone(device)) is not None:
            return zone
    return None


def _chosen(app: str, wishes: Wishes) -> tzinfo | None:
    name = wishes.time_zone(app)
    return None if name is None else zone_of(name)


def _own_zone(device: Device) -> tzinfo | None:
    name = time_zone_of(device)
    return None if name is None else zone_of(name)
