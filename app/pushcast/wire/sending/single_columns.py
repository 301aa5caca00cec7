"""The columns of a message with one notification and one target: eighteen blocks of one item, read together.

Two such messages whose texts have the same lengths are laid out alike, so one `struct` reads the columns of both.
"""

from __future__ import annotations

from functools import lru_cache
from struct import Struct
from typing import Any, Final, NamedTuple

from pushcast.model.batch import KINDS
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
#: From a device's length to its address's, and from a key's to the source offset, without the texts between.
_BEFORE_ADDRESS: Final = 9 + DELIVERY_ID_BYTES
_BEFORE_SOURCE: Final = 8 + _TOKEN_HASH_BYTES + _TIME_BYTES
_MAX_LAYOUTS: Final = 1024
#: A length of one byte: even, and without the bit that says that more follow. A longer text is left to Avro.
_NO_LENGTH: Final = 0x81


#: Id, creation and trace of the notification; then the target: user, device, delivery id, kind, address, key id, token
#: hash, registered at, source offset, expires at, attempt, and its app's version or None.
Row = tuple[Any, ...]


class SingleColumns:
    """Of one schema of send records. `extended`: the newest one, of whose columns beyond the plain ones only
    `app_version` may be there."""

    __slots__ = ("_before_user", "_behind_notes", "_extended", "_layouts")

    def __init__(self, *, extended: bool) -> None:
        self._behind_notes = NULL * 5 if extended else b""
        self._before_user = len(self._behind_notes) + 6
        self._extended = extended
        self._layouts: dict[tuple[int, ...], _Layout] = {}

    def read(self, value: bytes, at: int) -> tuple[Row, int] | None:
        """The one item of each column, and where the columns that start at `at` end.

        None when they are not of one item each, or unusual. Raises IndexError, ValueError or struct.error when they
        are cut off.
        """
        identifier = value[at + 1]
        trace_at = at + 6 + _TIME_BYTES + (identifier >> 1)
        trace = value[trace_at]
        user_at = trace_at + self._before_user + (trace >> 1)
        user = value[user_at]
        device_at = user_at + 3 + (user >> 1)
        device = value[device_at]
        address_at = device_at + _BEFORE_ADDRESS + (device >> 1)
        low, high = value[address_at], value[address_at + 1]
        if low > 0x7F >= high and not low & 1:  # of 64 to 8,191 bytes
            address, key_at = (low & 0x7F | high << 7) >> 1, address_at + 2
        else:
            address, key_at = long_at(value, address_at)
        key_at += 2 + address
        key = value[key_at]
        source_at = key_at + _BEFORE_SOURCE + (key >> 1)
        source_offset, end = long_at(value, source_at)
        if (identifier | trace | user | device | key) & _NO_LENGTH or address < 0:
            return None
        lengths = (identifier, trace, user, device, address, key, end - source_at)
        layout = self._layouts.get(lengths) or self._laid_out(lengths)
        fields = layout.columns.unpack_from(value, at)
        kind, attempt = _KINDS.get(fields[13]), value[at + layout.attempt_at]
        if fields[::2] != layout.between or kind is None or attempt & _NO_LENGTH:
            return None
        end = at + layout.columns.size
        version = None
        if self._extended:
            if value[end : end + 1] != NULL:  # not_after
                return None
            version, end = _version_at(value, end + 1)
            if end < 0 or value[end : end + 1] != NULL:  # content_key
                return None
            end += 1
        row = (
            fields[1].decode(),
            _recent(fields[3]),
            fields[5].decode(),
            fields[7].decode(),
            fields[9].decode(),
            fields[11],
            kind,
            fields[15],
            fields[17].decode(),
            fields[19],
            _time(fields[21]),
            source_offset,
            _recent(fields[25]),
            attempt >> 1,
            version,
        )
        return row, end

    def _laid_out(self, lengths: tuple[int, ...]) -> _Layout:
        """`lengths`: of the texts as they are encoded, and the bytes of the address and of the source offset."""
        identifier, trace, user, device, address, key, source = lengths
        between = (
            ONE + bytes((identifier,)),
            _NEXT,  # created at
            _NEXT + bytes((trace,)),
            END + self._behind_notes + ONE + _FIRST + _NEXT + bytes((user,)),
            _NEXT + bytes((device,)),
            _NEXT + long_of(DELIVERY_ID_BYTES),
            _NEXT,  # kind
            _NEXT + long_of(address),
            _NEXT + bytes((key,)),
            _NEXT + long_of(_TOKEN_HASH_BYTES),
            _NEXT,  # registered at
            _NEXT,  # source offset
            _NEXT,  # expires at
            _NEXT,  # attempt
            END,
        )
        texts = (identifier >> 1, _TIME_BYTES, trace >> 1, user >> 1, device >> 1, DELIVERY_ID_BYTES, 1)
        sizes = (*texts, address, key >> 1, _TOKEN_HASH_BYTES, _TIME_BYTES, source, _TIME_BYTES, 1, 0)
        parts = zip(between, sizes, strict=True)
        columns = Struct("<" + "".join(f"{len(before)}s{size}s" for before, size in parts))
        if len(self._layouts) >= _MAX_LAYOUTS:
            self._layouts.clear()
        layout = self._layouts[lengths] = _Layout(columns, between, columns.size - 2)
        return layout


def _version_at(value: bytes, at: int) -> tuple[str | None, int]:
    """What the column of app versions at `at` holds, and where it ends; -1 when it is unusual. Raises IndexError,
    ValueError."""
    if value[at : at + 1] == NULL:
        return None, at + 1
    size = value[at + 3]
    end = at + 4 + (size >> 1)
    if value[at : at + 3] != _ONE_TEXT or size & _NO_LENGTH or value[end : end + 1] != END:
        return None, -1
    return _version(value[at + 4 : end]), end + 1


#: Few differ: each is one object for many targets.
_version = lru_cache(1024)(bytes.decode)


class _Layout(NamedTuple):
    """Of columns whose values have certain lengths."""

    columns: Struct  # in turn what stands between two values, and a value
    between: tuple[bytes, ...]  # the former, as it must be
    attempt_at: int  # from the start of the columns


def _time(data: bytes) -> int:
    """The long in these six bytes."""
    first, second, third, fourth, fifth, last = data
    if last > 0x7F or not first & second & third & fourth & fifth & 0x80:
        raise ValueError("a time of another size")
    zigzag = first + (second << 7) + (third << 14) + (fourth << 21) + (fifth << 28) + (last << 35) - _MORE_BITS
    return (zigzag >> 1) ^ -(zigzag & 1)


#: Of what many messages of one window share.
_recent = lru_cache(1024)(_time)
