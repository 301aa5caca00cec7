"""Thread, campaign and collapse id of a notification, without decoding more of it: for what is held when a thread is
read or a campaign cancelled, and for what a later notification took the place of."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from pushcast.wire.events.event_forms import read_event
from pushcast.wire.schemas import SchemaSource, avro_type
from pushcast.wire.times import to_ms


class Thread(NamedTuple):
    """`app` and `thread` together name it. `created_at`: milliseconds since the epoch; None: when it was written."""

    app: str
    thread: str
    created_at: int | None


class CampaignLabel(NamedTuple):
    """`created_at`: as in `Thread`."""

    campaign: str
    created_at: int | None


class CollapseId(NamedTuple):
    """Of a notification. `app` None: for all apps."""

    id: str
    app: str | None


class _Options(msgspec.Struct):
    thread_id: str | None = None
    collapse_id: str | None = None


class _Event(msgspec.Struct):
    app: str | None = None
    options: _Options | None = None
    created_at: int | str | None = None
    campaign: str | None = None


class ThreadReader:
    """Reads events that were valid when they were held."""

    def __init__(self, schemas: SchemaSource | None = None) -> None:
        self._json = msgspec.json.Decoder(_Event).decode
        self._avro = avro_type("notification")
        self._schemas = schemas

    def read(self, value: bytes) -> Thread | None:
        """None: it is of no thread, or for all apps. Raises InvalidInput."""
        event = self._event(value)
        if event.app is None or event.options is None or not event.options.thread_id:
            return None
        return Thread(event.app, event.options.thread_id, _created_at(event))

    def named(self, value: bytes) -> tuple[str | None, str | None]:
        """Its app and its thread, each None where it has none. Raises InvalidInput."""
        event = self._event(value)
        return event.app, (None if event.options is None else event.options.thread_id) or None

    def campaign(self, value: bytes) -> CampaignLabel | None:
        """None: it is of no campaign. Raises InvalidInput."""
        event = self._event(value)
        return None if event.campaign is None else CampaignLabel(event.campaign, _created_at(event))

    def collapse_id(self, value: bytes) -> CollapseId | None:
        """None: it has none. Raises InvalidInput."""
        event = self._event(value)
        if event.options is None or not event.options.collapse_id:
            return None
        return CollapseId(event.options.collapse_id, event.app)

    def _event(self, value: bytes) -> _Event:
        return read_event(value, _Event, self._json, self._avro, self._schemas)


def _created_at(event: _Event) -> int | None:
    return None if event.created_at is None else to_ms(event.created_at, "created_at", 0)
