"""The thread of a notification, without decoding more of it: only for what is held of a user who has read a thread."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from pushcast.wire.event_forms import read_event
from pushcast.wire.schemas import SchemaSource, avro_type
from pushcast.wire.times import to_ms


class Thread(NamedTuple):
    """`app` and `thread` together name it. `created_at`: milliseconds since the epoch; None: when it was written."""

    app: str
    thread: str
    created_at: int | None


class _Options(msgspec.Struct):
    thread_id: str | None = None


class _Event(msgspec.Struct):
    app: str | None = None
    options: _Options | None = None
    created_at: int | str | None = None


class ThreadReader:
    """Reads events that were valid when they were held."""

    def __init__(self, schemas: SchemaSource | None = None) -> None:
        self._json = msgspec.json.Decoder(_Event).decode
        self._avro = avro_type("notification")
        self._schemas = schemas

    def read(self, value: bytes) -> Thread | None:
        """None: it is of no thread, or for all apps. Raises InvalidInput."""
        event = read_event(value, _Event, self._json, self._avro, self._schemas)
        if event.app is None or event.options is None or not event.options.thread_id:
            return None
        created_at = None if event.created_at is None else to_ms(event.created_at, "created_at", 0)
        return Thread(event.app, event.options.thread_id, created_at)
