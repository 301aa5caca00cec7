"""Which devices a notification reaches. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from pushcast.model.device import takes
from pushcast.model.errors import InvalidInput
from pushcast.model.ids import broadcast_delivery_id
from pushcast.model.notification import Notification, OfBroadcast
from pushcast.wire.devices.row_reader import Device, active_device
from pushcast.wire.devices.row_tail import locale_of, registered_at_ms

Row = tuple[bytes, bytes]


#: As `split_rows` says of a user without rows.
NO_ROWS: Final[tuple[Sequence[Device], Sequence[Row]]] = ((), ())


def split_rows(
    rows: Sequence[Row], app: str | None, push_type: str, unreadable: Callable[[InvalidInput], None]
) -> tuple[list[Device], Sequence[Row]]:
    """Of the rows of one user: active devices in the app (None: in all) that take this type of push, each token of an
    app once; and the user's own rows.

    Two device ids with one token are one phone that was registered anew; it must not ring twice. Tokens are compared by
    their hash: sealed, one token has another address each time. The newest row keeps the token, and says what it takes.
    Rows that this release cannot read are told to `unreadable` and left out.
    """
    found: list[Device] = []
    own: list[Row] | None = None
    for key, value in rows:
        if key[-1] == 0:  # `ids.is_user_row`, without the call: asked of every row of every notification
            own = own or []
            own.append((key, value))
            continue
        try:
            device = active_device(key, value)
        except InvalidInput as error:
            unreadable(error)
            continue
        if device is not None and (app is None or device.app == app):
            found.append(device)
    if len(found) == 1 and found[0].purpose is None:  # as of most users
        return found, own or ()
    if len(found) > 1:
        found = _each_token_once(found)
    devices = [device for device in found if device.purpose is None or takes(device.purpose, push_type)]
    return devices, own or ()


def that_waited(note: Notification, of: OfBroadcast, devices: Sequence[Device]) -> list[Device]:
    """Of a broadcast's part the devices that the walk had passed and the keeper has waited for."""
    return [device for device in devices if broadcast_delivery_id(note.id, device.key) in of.deliveries]


def with_locales(devices: Sequence[Device], unreadable: Callable[[InvalidInput], None]) -> list[Device]:
    """The devices whose locale can be read; the rows of the others are told to `unreadable`."""
    found: list[Device] = []
    for device in devices:
        try:
            locale_of(device)
        except InvalidInput as error:
            unreadable(error)
        else:
            found.append(device)
    return found


def _each_token_once(found: list[Device]) -> list[Device]:
    if len({(device.app, device.token_hash) for device in found}) == len(found):
        return found
    newest: dict[tuple[str, bytes], Device] = {}
    for device in sorted(found, key=registered_at_ms):
        newest[device.app, device.token_hash] = device
    keep = {device.key for device in newest.values()}
    return [device for device in found if device.key in keep]
