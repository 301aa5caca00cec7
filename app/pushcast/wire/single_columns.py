"""The columns of a message with one notification and one target: eighteen blocks of one item, read together.

Two such messages whose texts have the same lengths are laid out alike, so one `struct` reads the columns of both.
"""

from __future__ import annotations

from functools import lru_cache
from struct import Struct
from typing import Final

from pushcast.model.batch import KINDS, Targets
from pushcast.model.ids import DELIVERY_ID_BYTES
from pushcast.wire.avro_bytes import END, NULL, ONE, SECOND, long_at, long_of

#: Of the long that a time is: every millisecond from 1987 to 2039.
_TIME_BYTES: Final = 6
_TOKEN_HASH_BYTES: Final = 16
_NEXT: Final = END + ONE  # a column ends, and the next one has one item too
_FIRST: Final = long_of(0)  # index of the notification
_KINDS: Final = {long_of(number): number for number in range(len(KINDS))}
_ONE_TEXT: Final = SECOND + ONE + SECOND  # a column that is there, of one item, which is there
#: The bits of the first five bytes that say that another one follows.
_MORE_BITS: Final = sum(0x80 << 7 * index for index in range(_TIME_BYTES - 1))
#: A length of one byte: even, and without the bit that says that more follow. A longer text is left to Avro.
_NO_LENGTH: Final = 0x81


class SingleColumns:
    """Of one schema of send records. `extended`: the newest one, of whose columns beyond the plain ones only
    `app_version` may be there."""

    __slots__ = ("_behind_notes", "_extended")

    def __init__(self, *, extended: bool) -> None:
        self._behind_notes = NULL * 5 if extended else b""
        self._extended = extended

    def read(self, value: bytes, at: int) -> tuple[str, int, str, Targets, int] | None:
        """Id, creation and trace of the notification, its target, and where the columns that start at `at` end.

        None when they are not of one item each, or unusual. Raises IndexError, ValueError or struct.error when they
        are cut off.
        """
        identifier = value[at + 1]
        trace_at = at + 6 + _TIME_BYTES + (identifier >> 1)
        trace = value[trace_at]
        user_at = trace_at + len(self._behind_notes) + 6 + (trace >> 1)
        user = value[user_at]
        device_at = user_at + 3 + (user >> 1)
        device = value[device_at]
        address_at = device_at + 9 + DELIVERY_ID_BYTES + (device >> 1)
        address, key_at = long_at(value, address_at)
        key_at += 2 + address
        key = value[key_at]
        if (identifier | trace | user | device | key) & _NO_LENGTH or address < 0:
            return None
        lengths = (identifier >> 1, trace >> 1, user >> 1, device >> 1, address, key >> 1)
        columns, between = _layout(lengths, self._behind_notes)
        fields = columns.unpack_from(value, at)
        kind = _KINDS.get(fields[13])
        if fields[::2] != between or kind is None:
            return None
        source_offset, at = long_at(value, at + columns.size)
        expires = value[at + 2 : at + 2 + _TIME_BYTES]
        attempt_at = at + 4 + _TIME_BYTES
        attempt, end = value[attempt_at], attempt_at + 2
        if (
            value[at : at + 2] != _NEXT
            or value[attempt_at - 2 : attempt_at] != _NEXT
            or attempt & _NO_LENGTH
            or value[end - 1 : end] != END
        ):
            return None
        versions = None
        if self._extended:
            if value[end : end + 1] != NULL:  # not_after
                return None
            versions, end = _versions(value, end + 1)
            if end < 0 or value[end : end + 1] != NULL:  # content_key
                return None
            end += 1
        targets = Targets(
            [0],
            [fields[7].decode()],
            [fields[9].decode()],
            [fields[11]],
            [kind],
            [fields[15]],
            [fields[17].decode()],
            [fields[19]],
            [_time(fields[21])],
            [source_offset],
            [_recent(expires)],
            [attempt >> 1],
            app_version=versions,
        )
        created_at = _recent(fields[3])
        return fields[1].decode(), created_at, fields[5].decode(), targets, end


def _versions(value: bytes, at: int) -> tuple[list[str | None] | None, int]:
    """The column of app versions at `at`, and where it ends; -1 when it is unusual. Raises IndexError, ValueError."""
    if value[at : at + 1] == NULL:
        return None, at + 1
    size = value[at + 3]
    end = at + 4 + (size >> 1)
    if value[at : at + 3] != _ONE_TEXT or size & _NO_LENGTH or value[end : end + 1] != END:
        return None, -1
    return [_version(value[at + 4 : end])], end + 1


#: Few differ: each is one object for many targets.
_version = lru_cache(1024)(bytes.decode)


@lru_cache(1024)
def _layout(lengths: tuple[int, ...], behind_notes: bytes) -> tuple[Struct, tuple[bytes, ...]]:
    """Of the columns up to the source offset: in turn what stands between two fields, and a field; and the former."""
    identifier, trace, user, device, address, key = lengths
    between = (
        ONE + long_of(identifier),
        _NEXT,  # created at
        _NEXT + long_of(trace),
        END + behind_notes + ONE + _FIRST + _NEXT + long_of(user),
        _NEXT + long_of(device),
        _NEXT + long_of(DELIVERY_ID_BYTES),
        _NEXT,  # kind
        _NEXT + long_of(address),
        _NEXT + long_of(key),
        _NEXT + long_of(_TOKEN_HASH_BYTES),
        _NEXT,  # registered at
        _NEXT,  # source offset
    )
    sizes = (identifier, _TIME_BYTES, trace, user, device, DELIVERY_ID_BYTES, 1, address, key, _TOKEN_HASH_BYTES)
    parts = zip(between, (*sizes, _TIME_BYTES), strict=False)
    code = "".join(f"{len(before)}s{size}s" for before, size in parts)
    return Struct(f"<{code}{len(between[-1])}s"), between


def _time(data: bytes) -> int:
    """The long in these six bytes."""
    first, second, third, fourth, fifth, last = data
    if last > 0x7F or not first & second & third & fourth & fifth & 0x80:
        raise ValueError("a time of another size")
    zigzag = first + (second << 7) + (third << 14) + (fourth << 21) + (fifth << 28) + (last << 35) - _MORE_BITS
    return (zigzag >> 1) ^ -(zigzag & 1)


#: Of what many messages of one window share.
_recent = lru_cache(1024)(_time)
