"""Rows of users, which stand beside their devices' rows in `push.device.v1`: under keys with an empty device."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache

import msgspec

from pushcast.model.errors import InvalidInput
from pushcast.model.ids import split_device_row_key
from pushcast.model.preferences import Wishes
from pushcast.model.user import QuietHours, UserRow
from pushcast.wire.schemas import avro_type

_TYPE = avro_type("user_row")


def encode_user_row(row: UserRow) -> bytes:
    """Framed Avro."""
    datum = msgspec.structs.asdict(row)
    datum["quiet_hours"] = [{"days": list(span.days), "from": span.begins, "to": span.ends} for span in row.quiet_hours]
    return _TYPE.encode(datum)


@lru_cache(maxsize=4096)
def decode_user_row(value: bytes) -> UserRow:
    """Raises InvalidInput. What many read again and again is decoded once: nobody changes what comes from here."""
    datum = _TYPE.decode(value)
    datum["quiet_hours"] = tuple(
        [QuietHours(tuple(span["days"]), span["from"], span["to"]) for span in datum["quiet_hours"]]
    )
    return UserRow(**datum)


def wishes_of(rows: Iterable[tuple[bytes, bytes]], unreadable: Callable[[InvalidInput], None]) -> Wishes:
    """What a user's own rows say; a row that this release cannot read is told to `unreadable`, and says nothing."""
    everywhere, by_app = UserRow(), dict[str, UserRow]()
    for key, value in rows:
        try:
            row = decode_user_row(value)
        except InvalidInput as error:
            unreadable(error)
            continue
        app = split_device_row_key(key)[1]
        if app:
            by_app[app] = row
        else:
            everywhere = row
    return Wishes(everywhere, by_app)
