"""What PLAN needs of a device row, at a third of the price of decoding it.

PLAN copies most of a row into a send batch as it is, so those fields stay encoded. A row of a release that laid them
out otherwise, or one that is in any way unusual, goes through Avro: same answer (tests/laws/test_row_reader.py).
"""

from __future__ import annotations

import re
from typing import NamedTuple

from pushcast.model.batch import KIND_NUMBERS
from pushcast.model.device import DeviceState, Purpose
from pushcast.model.ids import is_user_row
from pushcast.model.words import Platform
from pushcast.wire.avro_bytes import NULL, SECOND, bytes_of, long_of, optional_of
from pushcast.wire.devices.devices import row_columns
from pushcast.wire.schemas import FRAME_BYTES, SINGLE_OBJECT_MARKER, avro_type, lock

_NEWEST = avro_type("device_row")
FRAME = _NEWEST.frame
FIELDS = range(8)  # app, device, platform, kind, address, key_id, token_hash, state; registered_at and seen_at follow
_HEAD = len(FIELDS) + 2
#: Rows of earlier releases that begin as the newest ones do. They have no purpose.
EARLIER = frozenset(
    SINGLE_OBJECT_MARKER + bytes.fromhex(version["fingerprint"])
    for version in lock()["device_row"]
    if [(field["name"], field["type"]) for field in version["schema"]["fields"][:_HEAD]]
    == [(field["name"], field["type"]) for field in _NEWEST.source["fields"][:_HEAD]]
) - {FRAME}
#: `purpose` is the last field, null or a word: its bytes are the row's end, and no other row ends so.
_PURPOSES = {optional_of(purpose): str(purpose) for purpose in Purpose}
_ACTIVE = bytes_of(DeviceState.ACTIVE.encode())
_GONE = bytes_of(DeviceState.GONE.encode())
_ACTIVE_BYTES = len(_ACTIVE)
_PLATFORMS = {bytes_of(platform.encode()): str(platform) for platform in Platform}
#: Platform, and number of the kind encoded, by both fields as a row has them.
_MANNERS = {
    name + bytes_of(kind.encode()): (platform, long_of(number))
    for name, platform in _PLATFORMS.items()
    for kind, number in KIND_NUMBERS.items()
}
_LONGEST_LONG = 10
#: A time in milliseconds between 1987 and 2039 has six bytes.
_TIME_BYTES = 6
_TIMES = re.compile(rb"(?:[\x80-\xff]{5}[\x00-\x7f]){2}").match  # registered_at and seen_at
_MAX_NAMES = 1024
_names: dict[bytes, str] = {}  # of apps, by what a row says
_tuple = tuple.__new__


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
    app_version: bytes  # null or a text
    seen_at: int | None  # where it begins in the row; None: not looked for
    row: bytes  # the whole of it, for what few notifications ask of it
    purpose: str | None  # None: takes every push type


def active_device(key: bytes, value: bytes) -> Device | None:
    """The device of a row; None when it must not be planned: suspended, or of a later release's platform, kind
    or purpose.

    Raises InvalidInput when the value is not a row that this release can read.
    """
    frame = value[:FRAME_BYTES]
    if frame != FRAME and frame not in EARLIER:
        return _decoded(key, value)
    purpose = None
    if value[-1] and frame == FRAME:
        purpose = _PURPOSES.get(value[value.rfind(SECOND) :])
        if purpose is None:
            return _decoded(key, value)
    try:
        # Each field is its size, twice its bytes, and its bytes; only device ids and addresses have 64 or more.
        app = FRAME_BYTES + 1 + (value[FRAME_BYTES] >> 1)
        size = value[app]
        device = app + 1 + (size >> 1) if size < 0x80 else app + 2 + ((size & 0x7F | value[app + 1] << 7) >> 1)
        platform = device + 1 + (value[device] >> 1)
        kind = platform + 1 + (value[platform] >> 1)
        size = value[kind]
        address = kind + 1 + (size >> 1) if size < 0x80 else kind + 2 + ((size & 0x7F | value[kind + 1] << 7) >> 1)
        key_id = address + 1 + (value[address] >> 1)
        state = key_id + 1 + (value[key_id] >> 1)
        at = state + _ACTIVE_BYTES
        name = _names.get(value[FRAME_BYTES:app])
        manner = _MANNERS.get(value[device:kind])
        if name is None or manner is None or not value.startswith(_ACTIVE, state) or _TIMES(value, at) is None:
            return _walked(key, value, purpose)
        if value[address] > 0x7F or value[key_id] > 0x7F:
            return _walked(key, value, purpose)
        if (value[app] > 0x7F and value[app + 1] > 0x7F) or (value[kind] > 0x7F and value[kind + 1] > 0x7F):
            return _walked(key, value, purpose)
        end = at + _TIME_BYTES
        version = _version(value, end + _TIME_BYTES)
    except (IndexError, ValueError):
        return _decoded(key, value)  # says what is wrong
    return _tuple(
        Device,
        (
            name,
            manner[0],
            key,
            state - app + _LONGEST_LONG + len(version),
            value[app:device],
            manner[1],
            value[kind:address],
            value[address:key_id],
            value[key_id:state],
            value[at:end],
            version,
            end,
            value,
            purpose,
        ),
    )


def _walked(key: bytes, value: bytes, purpose: str | None) -> Device | None:
    """The same, whatever sizes the fields have."""
    try:
        ends = [FRAME_BYTES]
        at = FRAME_BYTES
        for _ in FIELDS:
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
        start, app, device, _, kind, address, key_id, token_hash, state = ends
        end = at + 1
        while value[end - 1] > 0x7F:
            end += 1
        name = value[start + 1 : app].decode()
        locale = end + 1
        while value[locale - 1] > 0x7F:
            locale += 1
        version = _version(value, locale)
    except (IndexError, ValueError):
        return _decoded(key, value)  # says what is wrong
    if value[start] > 0x7F or end - at > _LONGEST_LONG:
        return _decoded(key, value)
    if len(_names) >= _MAX_NAMES:
        _names.clear()
    _names[value[start:app]] = name
    manner = _MANNERS.get(value[device:kind])
    if value[token_hash:state] != _ACTIVE or manner is None:
        return None
    platform_name, number = manner
    return Device(
        name,
        platform_name,
        key,
        token_hash - app + _LONGEST_LONG + len(version),
        value[app:device],
        number,
        value[kind:address],
        value[address:key_id],
        value[key_id:token_hash],
        value[at:end],
        version,
        end,
        value,
        purpose,
    )


def is_marker(value: bytes) -> bool:
    """Whether a row is certainly but the marker of a removed device; False where only decoding can tell. For rows that
    `active_device` refuses: apps that make up device ids leave many."""
    if value[:FRAME_BYTES] != FRAME and value[:FRAME_BYTES] not in EARLIER:
        return False
    at = FRAME_BYTES
    try:
        for _ in FIELDS[1:]:
            if value[at] > 0x7F:
                return False  # a long field: markers have none but ids
            at += 1 + (value[at] >> 1)
    except IndexError:
        return False
    return value.startswith(_GONE, at)


def _decoded(key: bytes, value: bytes) -> Device | None:
    if is_user_row(key):  # not asked before: what it holds has another schema, so it always comes here
        return None
    row = row_columns(value)
    kind = KIND_NUMBERS.get(row["kind"])
    purpose = row["purpose"]
    if row["state"] != DeviceState.ACTIVE or row["platform"] not in _PLATFORMS.values() or kind is None:
        return None
    if purpose is not None and purpose not in _PURPOSES.values():
        return None
    device, address = bytes_of(row["device"].encode()), bytes_of(row["address"])
    key_id, token_hash = bytes_of(row["key_id"].encode()), bytes_of(row["token_hash"])
    version = optional_of(row["app_version"])
    return Device(
        row["app"],
        row["platform"],
        key,
        len(device) + 1 + len(address) + len(key_id) + len(token_hash) + _LONGEST_LONG + len(version),
        device,
        long_of(kind),
        address,
        key_id,
        token_hash,
        long_of(row["registered_at"]),
        version,
        None,
        value,
        purpose,
    )


def _version(row: bytes, at: int) -> bytes:
    """`app_version` of a row whose locale begins at `at`. Raises IndexError, ValueError when it is unusual."""
    size = 0
    if row[at]:  # locale
        size = row[at + 1]
        at += 1 + (size >> 1)
    at += 1
    if row[at]:  # time_zone
        size |= row[at + 1]
        at += 1 + (row[at + 1] >> 1)
    at += 1
    if size > 0x7F:
        raise ValueError("a text of more than 63 bytes")
    if not row[at]:
        return NULL
    size = row[at + 1]
    end = at + 2 + (size >> 1)
    if size > 0x7F or end >= len(row):
        raise ValueError("a text of more than 63 bytes, or one that is cut off")
    return row[at:end]
