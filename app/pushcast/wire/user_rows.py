"""Rows of users, which stand beside their devices' rows in `push.device.v1`: under keys with an empty device."""

from __future__ import annotations

import msgspec

from pushcast.model.user import QuietHours, UserRow
from pushcast.wire.schemas import avro_type

_TYPE = avro_type("user_row")


def encode_user_row(row: UserRow) -> bytes:
    """Framed Avro."""
    datum = msgspec.structs.asdict(row)
    datum["quiet_hours"] = [{"days": list(span.days), "from": span.begins, "to": span.ends} for span in row.quiet_hours]
    return _TYPE.encode(datum)


def decode_user_row(value: bytes) -> UserRow:
    """Raises InvalidInput."""
    datum = _TYPE.decode(value)
    datum["quiet_hours"] = tuple(
        [QuietHours(tuple(span["days"]), span["from"], span["to"]) for span in datum["quiet_hours"]]
    )
    return UserRow(**datum)
