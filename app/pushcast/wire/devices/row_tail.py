"""Fields behind the fixed part of a device row: read only where somebody asks for them."""

from __future__ import annotations

from pushcast.model.errors import InvalidInput
from pushcast.model.words import Reason
from pushcast.wire.avro_bytes import SECOND, long_at
from pushcast.wire.devices.devices import row_columns
from pushcast.wire.devices.row_reader import EARLIER, FIELDS, FRAME, Device
from pushcast.wire.schemas import FRAME_BYTES


def locale_of(device: Device) -> str | None:
    """The device's locale. Reads on in the row: only for notifications that have variants.

    Raises InvalidInput (undecodable) when the row is broken behind what `active_device` reads.
    """
    try:
        return _locale(device.row)
    except (IndexError, ValueError) as error:
        problem = f"a row is broken behind registered_at: {type(error).__name__}"
        raise InvalidInput(Reason.UNDECODABLE, problem) from error


def _locale(row: bytes) -> str | None:
    if row[:FRAME_BYTES] != FRAME and row[:FRAME_BYTES] not in EARLIER:
        locale: str | None = row_columns(row)["locale"]
        return locale
    at = FRAME_BYTES
    for _ in FIELDS:
        size, at = long_at(row, at)
        at += size
    _, at = long_at(row, long_at(row, at)[1])
    index, at = long_at(row, at)
    if not index:
        return None
    size, at = long_at(row, at)
    return row[at : at + size].decode()


def time_zone_of(device: Device) -> str | None:
    """The device's zone as it was registered; None as well for a row that is broken behind what `active_device` reads.
    Reads on in the row: only for notifications with a local time, or where there are quiet hours."""
    row = device.row
    if device.seen_at is not None:
        try:
            return _time_zone(row, device.seen_at)
        except (IndexError, ValueError):
            pass  # unusual, or broken: Avro says which
    try:
        zone: str | None = row_columns(row)["time_zone"]
    except InvalidInput:
        return None
    return zone


def _time_zone(row: bytes, at: int) -> str | None:
    """`at`: where seen_at begins. Raises IndexError, ValueError."""
    _, at = long_at(row, at)
    if row[at] == SECOND[0]:  # the locale
        size, at = long_at(row, at + 1)
        at += size
    elif row[at]:
        raise ValueError("a union of two has no such branch")
    else:
        at += 1
    if not row[at]:
        return None
    if row[at] != SECOND[0]:
        raise ValueError("a union of two has no such branch")
    size, at = long_at(row, at + 1)
    if size < 0 or at + size > len(row):
        raise ValueError("a text that is cut off")
    return row[at : at + size].decode()


def seen_at_ms(device: Device) -> int:
    """When the device was last heard of, milliseconds since the epoch."""
    if device.seen_at is not None:
        try:
            return long_at(device.row, device.seen_at)[0]
        except IndexError:
            pass  # broken: Avro says how
    try:
        seen_at: int = row_columns(device.row)["seen_at"]
    except InvalidInput:
        return registered_at_ms(device)
    return seen_at


def content_key_of(device: Device) -> bytes | None:
    """What contents are sealed for the device with (`content_keys`). Decodes the row: only for notifications of a
    class with `privacy: sealed`. None as well for a row that is broken behind what `active_device` reads."""
    try:
        key: bytes | None = row_columns(device.row)["content_key"]
    except InvalidInput:
        return None
    return key


def registered_at_ms(device: Device) -> int:
    """When the device was last registered, milliseconds since the epoch."""
    return long_at(device.registered_at, 0)[0]


def first_at_ms(device: Device) -> int | None:
    """When the device's row was made, by Kafka's time; None: by an earlier release. Cheaper than decoding the row.

    Raises InvalidInput (undecodable) when the row is broken.
    """
    row = device.row
    if row[:FRAME_BYTES] == FRAME and device.seen_at is not None:
        try:
            return _first_at(row, device.seen_at)
        except (IndexError, ValueError):
            pass  # unusual, or broken: Avro says which
    first_at: int | None = row_columns(row)["first_at"]
    return first_at


def followed_and_first_at(device: Device) -> tuple[list[bytes], int | None]:
    """The topics that a device follows, as UTF-8, and `first_at_ms`, in one look. Raises InvalidInput (undecodable) for
    a broken row."""
    row = device.row
    if row[:FRAME_BYTES] == FRAME and device.seen_at is not None:
        try:
            topics: list[bytes] = []
            return topics, _first_at(row, device.seen_at, topics)
        except (IndexError, ValueError):
            pass  # as above
    columns = row_columns(row)
    return [topic.encode() for topic in columns["topics"]], columns["first_at"]


def _first_at(row: bytes, at: int, topics: list[bytes] | None = None) -> int | None:
    """`at`: where seen_at begins. `topics`: takes what is followed. Raises IndexError, ValueError."""
    _, at = long_at(row, at)
    for _ in range(3):  # locale, time_zone, app_version
        if row[at]:
            size, at = long_at(row, at + 1)
            at += size
        else:
            at += 1
    while row[at]:  # topics, in blocks
        count, at = long_at(row, at)
        if count < 0:
            raise ValueError("a block with its size")
        for _ in range(count):
            size = row[at]
            if size > 0x7F:
                size, begin = long_at(row, at)
                at = begin + size
            else:
                begin = at + 1
                at = begin + (size >> 1)
            if topics is not None:
                topics.append(row[begin:at])
    at += 1
    if row[at : at + 3] != b"\0\0\0":
        raise ValueError("it was suspended once")
    at += 3
    return long_at(row, at + 1)[0] if row[at] else None
