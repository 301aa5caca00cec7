"""Notifications of one request that differ in id and user alone: what they share is checked with the first. Pure.

A campaign writes the same text for each of its users. Without the values of id and user, the bytes of its events are
the same. Two events with equal bytes of that kind have equal fields but for id and user. For a value is taken out at
its first place alone. Where that is not the place of the id, the id still stands in the bytes, so both events have the
same id. The law is in tests/laws/test_gateway_bulk.py.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

import msgspec

from pushcast.gateway.events import RESERVED_USERS
from pushcast.gateway.sizes import ALWAYS_FITS_BYTES
from pushcast.model.ids import MAX_ID_BYTES
from pushcast.model.notification import Notification
from pushcast.model.own import RESERVED_ID_PREFIXES
from pushcast.wire.json_errors import UNREADABLE

#: Of one request: more are checked one by one.
MAX_KNOWN: Final = 256
#: Ids that JSON may write as they are. Nothing between two texts of an event looks like one, and they are short enough
#: whatever their characters take.
_PLAIN: Final = re.compile(rf'[^\x00-\x20"\\,:}}\]][^\x00-\x1f"\\]{{0,{MAX_ID_BYTES // 4 - 1}}}').fullmatch


class _Head(msgspec.Struct, gc=False):
    """What differs. Other fields are passed by."""

    id: str
    user: str


class AlikeEvent(NamedTuple):
    """An event whose id and user are valid, taken apart."""

    id: str
    user: str
    key: bytes  # of the record
    rest: bytes


_read: Final = msgspec.json.Decoder(_Head).decode


def split(raw: bytes) -> AlikeEvent | None:
    """None: it has no id of its own, or something of it needs a closer look."""
    try:
        head = _read(raw)
    except UNREADABLE:
        return None
    note_id, user = head.id, head.user
    if _PLAIN(note_id) is None or _PLAIN(user) is None or b"\0" in raw:
        return None
    if user.startswith(RESERVED_USERS) or note_id.startswith(RESERVED_ID_PREFIXES):
        return None
    # No JSON holds a NUL byte, so that what was taken out stays known as that.
    key = user.encode()
    rest = raw.replace(b'"%b"' % note_id.encode(), b'"\0"', 1).replace(b'"%b"' % key, b'"\0\0"', 1)
    return AlikeEvent(note_id, user, key, rest)


def may_share(note: Notification) -> bool:
    """Whether others with the same bytes are as valid as this one: nothing in it depends on its id or user, and no
    platform can find it too large."""
    return note.timing is None and len(note.content_key) + MAX_ID_BYTES < ALWAYS_FITS_BYTES
