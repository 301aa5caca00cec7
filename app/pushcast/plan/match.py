"""Which devices a notification reaches. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from pushcast.model.batch import KIND_NUMBERS
from pushcast.model.device import DeviceState
from pushcast.model.errors import InvalidInput
from pushcast.wire.devices import row_columns

# Rows of users who get many notifications are decoded once; about 1 kB an entry.
_CACHED_ROWS = 16_384


class Device(NamedTuple):
    """What PLAN needs of an active row."""

    app: str
    device: str
    platform: str
    kind: int
    address: bytes
    key_id: str
    token_hash: bytes
    registered_at: int


@lru_cache(maxsize=_CACHED_ROWS)
def device_of(value: bytes) -> Device | None:
    """The row's device; None when it must not be planned: suspended, or unreadable to this release."""
    try:
        row: dict[str, Any] = row_columns(value)
    except InvalidInput:
        return None
    if row["state"] != DeviceState.ACTIVE:
        return None
    return Device(
        row["app"],
        row["device"],
        row["platform"],
        KIND_NUMBERS[row["kind"]],
        row["address"],
        row["key_id"],
        row["token_hash"],
        row["registered_at"],
    )


def devices_of(rows: Sequence[tuple[bytes, bytes]]) -> list[Device]:
    """Active devices in the rows of one user, each address of an app once (the newest row keeps it)."""
    if len(rows) == 1:
        only = device_of(rows[0][1])
        return [] if only is None else [only]
    found = [device for _, value in rows if (device := device_of(value)) is not None]
    if len({(device.app, device.address) for device in found}) == len(found):
        return found
    newest: dict[tuple[str, bytes], Device] = {}
    for device in sorted(found, key=lambda device: device.registered_at):
        newest[device.app, device.address] = device
    keep = set(newest.values())
    return [device for device in found if device in keep]
