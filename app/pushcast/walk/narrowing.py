"""Which of a user's matching devices a broadcast leaves out: each is counted in the leg with its reason. Pure."""

from __future__ import annotations

from typing import Final

from pushcast.model.ids import broadcast_delivery_id
from pushcast.walk.legs import OpenLeg
from pushcast.wire.devices.row_reader import Device
from pushcast.wire.devices.row_tail import registered_at_ms

#: Reasons of devices that match and are not planned, beside those of the predicate.
SAME_TOKEN: Final = "same_token"  # noqa: S105 - a reason: another row of the user has the token, and is newer
UNREADABLE: Final = "unreadable"  # a row of another release, or a broken one
NOT_TO: Final = "not_to"  # it had the broadcast that this one leaves out


def each_token_once(leg: OpenLeg, devices: list[Device]) -> list[Device]:
    """Two device ids with one token are one phone: the newest row keeps it, as for a notification."""
    newest: dict[bytes, Device] = {}
    for device in sorted(devices, key=lambda each: (registered_at_ms(each), each.key)):
        newest[device.token_hash] = device
    leg.left.update([SAME_TOKEN] * (len(devices) - len(newest)))  # no reason stands there with 0
    keep = {device.key for device in newest.values()}
    return [device for device in devices if device.key in keep]


def not_served(leg: OpenLeg, devices: list[Device], earlier: str, served: frozenset[bytes]) -> list[Device]:
    """Those that had nothing of the broadcast `earlier`. `served`: its deliveries."""
    left = [device for device in devices if broadcast_delivery_id(earlier, device.key) not in served]
    leg.left.update([NOT_TO] * (len(devices) - len(left)))
    return left
