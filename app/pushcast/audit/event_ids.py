"""What a tool looks for in notification events, read without judging the rest of them."""

from __future__ import annotations

import orjson

from pushcast.wire.answers.dead_letters import PlainRecord
from pushcast.wire.events.event_forms import is_json
from pushcast.wire.events.notification_reader import split
from pushcast.wire.headers import TRACEPARENT, first
from pushcast.wire.schemas import SchemaSource, avro_type


def event_id(value: bytes, schemas: SchemaSource | None = None) -> str | None:
    """Of a notification in JSON or Avro; None when it cannot be read, whatever else is wrong with it."""
    if is_json(value):
        try:
            event = orjson.loads(value)
        except orjson.JSONDecodeError:
            return None
        return event.get("id") if isinstance(event, dict) else None
    parts = split(value)
    if parts is not None:
        return parts.id
    found: str = avro_type("notification").decode(value, schemas)["id"]
    return found


def trace_in(record: PlainRecord, schemas: SchemaSource | None) -> str:
    """The `traceparent` of a notification that can be read: its own field, else the record's header."""
    value = record.value or b""
    event = orjson.loads(value) if is_json(value) else avro_type("notification").decode(value, schemas)
    found = event.get("trace")
    return found if isinstance(found, str) else (first(record.headers, TRACEPARENT) or b"").decode("ascii", "replace")
