"""Which devices a notification reaches. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pushcast.model.device import takes
from pushcast.model.errors import InvalidInput
from pushcast.wire.row_reader import Device, active_device, locale_of, registered_at_ms

Row = tuple[bytes, bytes]


def devices_of(rows: Sequence[Row], push_type: str, unreadable: Callable[[InvalidInput], None]) -> list[Device]:
    """Active devices in the rows of one user that take this type of push, each token of an app once.

    Two device ids with one token are one phone that was registered anew; it must not ring twice. Tokens are compared by
    their hash: sealed, one token has another address each time. The newest row keeps the token, and says what it takes.
    Rows that this release cannot read are told to `unreadable` and left out.
    """
    found: list[Device] = []
    for key, value in rows:
        try:
            device = active_device(key, value)
        except InvalidInput as error:
            unreadable(error)
            continue
        if device is not None:
            found.append(device)
    if len(found) > 1:
        found = _each_token_once(found)
    return [device for device in found if device.purpose is None or takes(device.purpose, push_type)]


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
