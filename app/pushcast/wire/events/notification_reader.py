"""Avro notifications of this release, read at half the price of a general reader.

Whatever is unusual is left to that one: None says so, for records that are wrong as well. What is read here is what it
reads (tests/laws/test_notification_decoder.py).
"""

from __future__ import annotations

from typing import NamedTuple, get_args

from pushcast.model.notification import MAX_BADGE, Options, Priority, PushType
from pushcast.wire.avro_bytes import long_at
from pushcast.wire.schemas import FRAME_BYTES, avro_type, released_type

#: Versions of the schema that are read here, by frame: the fields before trace are the same in all.
_EARLIER = {released_type("notification", each).frame: each for each in (2, 3, 4, 5)}
_VERSIONS = {avro_type("notification").frame: 6, **_EARLIER}
VERSIONS = tuple(_VERSIONS.values())
_NO_MORE = {2: b"", 3: bytes(10), 4: bytes(19), 5: bytes(19), 6: bytes(20)}  # the fields behind trace, all absent
_ABSENT = {0: True, 2: False}  # by the branch of a union with null, zigzag; KeyError: there is no such branch
_PRIORITIES: dict[int, Priority] = {0: "high", 2: "normal"}
_PUSH_TYPES: dict[str, PushType] = {name: name for name in get_args(PushType)}
_BOOLEANS = {0: False, 1: True}
_LONGEST_LONG = 9  # bytes; beyond lie 64 bits, where readers differ
_tuple = tuple.__new__  # at a third of the price of calling the class: one for each event
_Unusual = (IndexError, KeyError, ValueError)  # UnicodeDecodeError is a ValueError


class Parts(NamedTuple):
    """An Avro notification; `rest` is what a campaign's notifications have in common, from class on.

    `version`: of its schema; since the third, `rest` goes on behind trace.
    """

    id: str
    user: str | None
    app: str | None
    rest: bytes
    version: int


class Rest(NamedTuple):
    """What `Parts.rest` says, not yet validated beyond its types. It has no locales and no Live Activity."""

    klass: str | None
    title: str | None
    body: str | None
    data: dict[str, str]
    options: Options | None
    created_at: int | None
    expires_at: int | None
    trace: str | None


def split(value: bytes) -> Parts | None:
    """Takes a notification apart."""
    version = _VERSIONS.get(value[:FRAME_BYTES])
    if version is None:
        return None
    try:
        note_id, at = _string(value, FRAME_BYTES)
        user, at = _optional(value, at)
        app, at = _optional(value, at)
    except _Unusual:
        return None
    return _tuple(Parts, (note_id, user, app, value[at:], version))


def read_rest(rest: bytes, version: int) -> Rest | None:
    """Reads what `split` left."""
    no_more = _NO_MORE[version]
    if not rest.endswith(no_more):
        return None
    rest = rest[: len(rest) - len(no_more)]
    try:
        klass, at = _optional(rest, 0)
        title, at = _optional(rest, at)
        body, at = _optional(rest, at)
        data, at = _texts(rest, at)
        if rest[at]:  # locales
            return None
        options, at = _options(rest, at + 1)
        created_at, at = _time(rest, at)
        expires_at, at = _time(rest, at)
        trace, at = _optional(rest, at)
    except _Unusual:
        return None
    if at != len(rest):
        return None
    return _tuple(Rest, (klass, title, body, data, options, created_at, expires_at, trace))


def _string(data: bytes, at: int) -> tuple[str, int]:
    size = data[at]
    at += 1
    if size > 0x7F:
        more = data[at]
        size = size & 0x7F | more << 7
        at += 1
        if more > 0x7F:
            raise ValueError("a string of 8 KiB or more")
    end = at + (size >> 1)
    if size & 1 or end > len(data):
        raise ValueError("a size that cannot be")
    return data[at:end].decode(), end


def _optional(data: bytes, at: int) -> tuple[str | None, int]:
    if _ABSENT[data[at]]:
        return None, at + 1
    return _string(data, at + 1)


def _texts(data: bytes, at: int) -> tuple[dict[str, str], int]:
    found: dict[str, str] = {}
    count = data[at]
    at += 1
    if not count:
        return found, at
    if count & 0x81:
        raise ValueError("64 entries or more, or a block with its size")
    for _ in range(count >> 1):
        key, at = _string(data, at)
        found[key], at = _string(data, at)
    if data[at]:
        raise ValueError("more than one block")
    return found, at + 1


def _options(data: bytes, at: int) -> tuple[Options | None, int]:
    if _ABSENT[data[at]]:
        return None, at + 1
    collapse_id, at = _optional(data, at + 1)
    thread_id, at = _optional(data, at)
    sound, at = _optional(data, at)
    badge, at = _time(data, at)
    if badge is not None and not 0 <= badge <= MAX_BADGE:
        raise ValueError("a badge that cannot be")
    priority = _PRIORITIES[data[at]]
    push_type, at = _string(data, at + 1)
    dry_run, at_most_once = _BOOLEANS[data[at]], _BOOLEANS[data[at + 1]]
    if data[at + 2]:
        raise ValueError("a Live Activity")
    options = Options(collapse_id, thread_id, sound, badge, priority, _PUSH_TYPES[push_type], dry_run, at_most_once)
    return options, at + 3


def _time(data: bytes, at: int) -> tuple[int | None, int]:
    if _ABSENT[data[at]]:
        return None, at + 1
    value, end = long_at(data, at + 1)
    if end - at - 1 > _LONGEST_LONG:
        raise ValueError("a number at the border of 64 bits")
    return value, end
