"""Which events hold an address or a content key in clear: their dead letters must not, with `sealing.require`. Pure."""

from __future__ import annotations

from typing import Final

import msgspec

from pushcast.stream.batch import Record
from pushcast.wire.events.event_forms import is_json
from pushcast.wire.json_errors import UNREADABLE

_FIELDS: Final = frozenset(("token", "fid", "subscription", "content_key"))
_DECODE: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def in_clear(topic: str, record: Record) -> bool:
    """Whether a record of this topic may hold one. What cannot be read may, and so may all that is no JSON."""
    value = record.value
    if record.topic != topic or not value:
        return False
    if not is_json(value):
        return True
    try:
        return not _FIELDS.isdisjoint(_DECODE(value))
    except UNREADABLE:
        return True
