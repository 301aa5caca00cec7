"""What PLAN needs of a device row, at a third of the price of decoding it.

PLAN copies most of a row into a send batch as it is, so those fields stay encoded. A row of another release, or one
that is in any way unusual, goes through Avro: same answer (tests/laws/test_row_reader.py).
"""

from __future__ import annotations

from typing import NamedTuple

from pushcast.model.batch import KIND_NUMBERS
from pushcast.model.device import DeviceState
from pushcast.model.words import Platform
from pushcast.wire.avro_bytes import bytes_of, long_at, long_of
from pushcast.wire.devices import row_columns
from pushcast.wire.schemas import FRAME_BYTES, avro_type

_FRAME = avro_type("device_row").frame
_FIELDS = range(8)  # app, device, platform, kind, address, key_id, token_hash, state; registered_at follows
_ACTIVE = bytes_of(DeviceState.ACTIVE.encode())
_PLATFORMS = {bytes_of(platform.encode()): str(platform) for platform in Platform}
_KINDS = {bytes_of(kind.encode()): long_of(number) for kind, number in KIND_NUMBERS.items()}
_LONGEST_LONG = 10


class Device(NamedTuple):
    """An active row. Fields of type bytes are encoded as Avro has them, but for `key`."""

    app: str
    platform: str
    key: bytes  # the row's key: user NUL app NUL device
    size: int  # bytes that this device adds to a batch, at most; without what comes from the notification
    device: bytes
    kind: bytes
    address: bytes
    key_id: bytes
    token_hash: bytes
    registered_at: bytes
    row: bytes  # the whole of it, for what few notifications ask of it


def active_device(key: bytes, value: bytes) -> Device | None:
    """The device of a row; None when it must not be planned: suspended, or of a later release's platform or kind.

    Raises InvalidInput when the value is not a row that this release can read.
    """
    if value[:FRAME_BYTES] != _FRAME:
        return _decoded(key, value)
    try:
        ends = [FRAME_BYTES]
        at = FRAME_BYTES
        for _ in _FIELDS:
            size = value[at]
            at += 1
            if size > 0x7F:
                more = value[at]
                if more > 0x7F:
                    return _decoded(key, value)
                size = size & 0x7F | more << 7
                at += 1
            at += size >> 1
            ends.append(at)
        start, app, device, platform, kind, address, key_id, token_hash, state = ends
        end = at + 1
        while value[end - 1] > 0x7F:
            end += 1
        name = value[start + 1 : app].decode()
    except (IndexError, UnicodeDecodeError):
        return _decoded(key, value)  # says what is wrong
    if value[start] > 0x7F:
        return _decoded(key, value)
    known, number = _PLATFORMS.get(value[device:platform]), _KINDS.get(value[platform:kind])
    if value[token_hash:state] != _ACTIVE or known is None or number is None:
        return None
    return Device(
        name,
        known,
        key,
        token_hash - app + _LONGEST_LONG,
        value[app:device],
        number,
        value[kind:address],
        value[address:key_id],
        value[key_id:token_hash],
        value[at:end],
        value,
    )


def _decoded(key: bytes, value: bytes) -> Device | None:
    row = row_columns(value)
    kind = KIND_NUMBERS.get(row["kind"])
    if row["state"] != DeviceState.ACTIVE or row["platform"] not in _PLATFORMS.values() or kind is None:
        return None
    device, address = bytes_of(row["device"].encode()), bytes_of(row["address"])
    key_id, token_hash = bytes_of(row["key_id"].encode()), bytes_of(row["token_hash"])
    return Device(
        row["app"],
        row["platform"],
        key,
        len(device) + 1 + len(address) + len(key_id) + len(token_hash) + _LONGEST_LONG,
        device,
        long_of(kind),
        address,
        key_id,
        token_hash,
        long_of(row["registered_at"]),
        value,
    )


def locale_of(device: Device) -> str | None:
    """The device's locale. Decodes the row: only for notifications that have variants."""
    locale: str | None = row_columns(device.row)["locale"]
    return locale


def registered_at_ms(device: Device) -> int:
    """When the device was last registered, milliseconds since the epoch."""
    return long_at(device.registered_at, 0)[0]
