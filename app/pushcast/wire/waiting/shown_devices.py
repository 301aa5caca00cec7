"""Which devices show a notification, in a row of `push.user.v1`: for each notification a count and their names."""

from __future__ import annotations

from typing import Final

from pushcast.model.ids import DEVICE_NAME_BYTES

#: More of one notification are not told apart: then every device of the user counts.
MAX_DEVICES: Final = 64
#: Of a notification of which a row of an earlier release does not say it, or that more devices show.
ANY: Final[tuple[bytes, ...]] = ()


def with_device(devices: tuple[bytes, ...], name: bytes) -> tuple[bytes, ...]:
    """With one more, of those that are known."""
    if name in devices:
        return devices
    return ANY if len(devices) == MAX_DEVICES else (*devices, name)


def devices_of(joined: bytes, count: int) -> list[tuple[bytes, ...]]:
    """Of so many notifications. What stands before the first known one has `ANY`."""
    found: list[tuple[bytes, ...]] = []
    at = 0
    while at < len(joined):
        end = at + 1 + joined[at] * DEVICE_NAME_BYTES
        names = joined[at + 1 : end]
        found.append(tuple(names[i : i + DEVICE_NAME_BYTES] for i in range(0, len(names), DEVICE_NAME_BYTES)))
        at = end
    found = found[-count:] if count else []
    return [ANY] * (count - len(found)) + found


def joined(devices: list[tuple[bytes, ...]]) -> bytes:
    """The same in a row: without those in front of which nothing is known."""
    first = next((at for at, names in enumerate(devices) if names), len(devices))
    return b"".join(bytes((len(names),)) + b"".join(names) for names in devices[first:])
