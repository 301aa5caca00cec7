"""An order whose provider knows who is meant: one delivery, and no device is looked at. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pushcast.model.broadcast import Broadcast, Via
from pushcast.model.device import DeviceRow, DeviceState
from pushcast.model.ids import broadcast_delivery_id, device_row_key, token_hash
from pushcast.model.words import Platform
from pushcast.stream.table import Row
from pushcast.walk.batches import FullBatch
from pushcast.walk.course import Course
from pushcast.walk.holding import LeavingDevice
from pushcast.walk.legs import OpenLeg
from pushcast.wire.devices.devices import encode_row
from pushcast.wire.devices.row_reader import Device, active_device


class Errand(Course):
    """Of the partition that `orders.sampled` names. The delivery is that of a user `broadcast:<id>` and a device
    `topic:<address>` or `channel:<address>`, whom nobody has."""

    def take(self, leg: OpenLeg, rows: Sequence[Row]) -> Iterator[FullBatch]:
        """The one delivery, unless a predecessor has planned it. Asks for no rows."""
        broadcast = self.broadcast
        if broadcast.via is None:
            raise ValueError(f"broadcast {broadcast.id} is for devices")
        user = f"broadcast:{broadcast.id}"
        owner, device = user.encode(), _device(broadcast, broadcast.via, user, self.order.recorded_at)
        leg.matched += 1
        if broadcast_delivery_id(broadcast.id, device.key) not in self.walk.there(owner):
            full = self._target(leg, owner, user, LeavingDevice(device))
            if full is not None:
                yield full
        leg.to_user = owner


def _device(broadcast: Broadcast, via: Via, user: str, at: int) -> Device:
    """What a sender needs of a device, as if it had a row."""
    word = "channel" if via.platform is Platform.APNS else "topic"
    name, address = f"{word}:{via.address}", via.address.encode()
    row = DeviceRow(
        app=broadcast.app,
        device=name,
        platform=via.platform,
        kind=via.kind,
        address=address,
        key_id="",
        token_hash=token_hash(address),
        state=DeviceState.ACTIVE,
        registered_at=at,
        seen_at=at,
    )
    device = active_device(device_row_key(user, broadcast.app, name), encode_row(row))
    if device is None:
        raise ValueError(f"a row of kind {via.kind} is not readable")
    return device
