"""Intake events that a decoder refused, as far as they can be read all the same."""

from __future__ import annotations

from typing import Any

import orjson

from pushcast.model.errors import InvalidInput
from pushcast.wire.events.event_forms import is_json
from pushcast.wire.schemas import avro_type


def readable_event(kind: str, value: bytes | None) -> dict[str, Any] | None:
    """Its fields, none of them checked; None where there are none to be read. `kind`: the name of its schema."""
    if value is None:
        return None
    try:
        if is_json(value):
            event = orjson.loads(value)
            return event if isinstance(event, dict) else None
        return avro_type(kind).decode(value)
    except (InvalidInput, orjson.JSONDecodeError):
        return None
