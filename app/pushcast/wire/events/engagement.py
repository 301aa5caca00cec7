"""What apps tell of their users, from JSON and Avro: one validator for whoever writes or reads it."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NoReturn

import msgspec

from pushcast.model.activity import LONGEST_MS, USUAL_MS
from pushcast.model.errors import InvalidInput
from pushcast.model.words import Reason
from pushcast.wire.events.event_forms import read_event
from pushcast.wire.keys import check_id
from pushcast.wire.schemas import SchemaSource, avro_type
from pushcast.wire.times import check_event_time, to_ms

MAX_IDS: Final = 100
MAX_BADGE: Final = 99_999


class Event(StrEnum):
    """What happened. `seen`: the app was started; `active`: it is in front; `badge`: the app shows this number now;
    `flush`: what was gathered for the user is to leave now."""

    RECEIVED = "received"
    OPENED = "opened"
    READ = "read"
    SEEN = "seen"
    ACTIVE = "active"
    BADGE = "badge"
    FLUSH = "flush"


#: Events that happen on one device.
OF_A_DEVICE: Final = frozenset({Event.RECEIVED, Event.OPENED, Event.SEEN, Event.ACTIVE})
_OF_AN_APP: Final = frozenset({Event.BADGE, Event.FLUSH})


class Engagement(msgspec.Struct, frozen=True):
    """A valid event. Times are milliseconds since the epoch, none later than the record's."""

    event: Event
    user: str
    ids: tuple[str, ...]
    app: str | None
    device: str | None
    thread: str | None
    up_to: int | None  # of a thread
    count: int | None  # of badge
    at: int
    until: int | None = None  # of active; not after `at`: no more
    klass: str | None = None  # of flush


class _Raw(msgspec.Struct, forbid_unknown_fields=True):
    event: Event
    user: str | None = None
    ids: list[str] | None = None
    app: str | None = None
    device: str | None = None
    thread: str | None = None
    up_to: int | str | None = None
    count: int | None = None
    at: int | str | None = None
    until: int | str | None = None
    klass: str | None = msgspec.field(default=None, name="class")


#: For the document of the HTTP API.
JSON_FORM = _Raw


class EngagementDecoder:
    """Decodes `push.engagement.v1`."""

    def __init__(self, schemas: SchemaSource | None = None) -> None:
        self._schemas = schemas
        self._json = msgspec.json.Decoder(_Raw).decode
        self._avro = avro_type("engagement")

    def decode(self, user: str, value: bytes | None, timestamp_ms: int) -> Engagement:
        """`user` is the record key's, `timestamp_ms` the record's. Raises InvalidInput with reason and field."""
        if value is None:
            raise InvalidInput(Reason.TOMBSTONE, "a null value on an event topic means nothing")
        return _validated(read_event(value, _Raw, self._json, self._avro, self._schemas), user, timestamp_ms)


def encode_engagement(engagement: Engagement) -> bytes:
    """Value of a record in `push.engagement.v1`."""
    fields = msgspec.structs.asdict(engagement)
    return avro_type("engagement").encode({**fields, "ids": list(engagement.ids), "class": engagement.klass})


def _validated(raw: _Raw, user: str, timestamp_ms: int) -> Engagement:
    if raw.user is not None and raw.user != user:
        _refuse("user", "user differs from the record key")
    ids = raw.ids or []
    if len(ids) > MAX_IDS:
        raise InvalidInput(Reason.TOO_MANY, f"ids has {len(ids)} entries; at most {MAX_IDS}", "ids")
    for note_id in ids:
        check_id(note_id, "ids")
    for name, value in (("app", raw.app), ("device", raw.device), ("thread", raw.thread), ("class", raw.klass)):
        if value is not None:
            check_id(value, name)
    _check_fit(raw, ids)
    at = to_ms(raw.at, "at", timestamp_ms)
    check_event_time(at, "at")
    # A clock that runs ahead tells nothing of the future.
    at = min(at, timestamp_ms)
    up_to = None if raw.thread is None else min(to_ms(raw.up_to, "up_to", at), timestamp_ms)
    until = None
    if raw.event is Event.ACTIVE:
        until = to_ms(raw.until, "until", at + USUAL_MS)
        if until > at + LONGEST_MS:
            _refuse("until", f"until is more than {LONGEST_MS // 60_000} minutes after at")
    about = raw.app, raw.device, raw.thread, up_to, raw.count
    return Engagement(raw.event, user, tuple(ids), *about, at, until, raw.klass)


def _check_fit(raw: _Raw, ids: list[str]) -> None:
    """The fields that an event needs, and none that means nothing with it."""
    event = raw.event
    if event in OF_A_DEVICE and raw.device is None:
        _refuse("device", f"{event} needs device: it happens on one")
    if raw.app is None and (raw.device is not None or raw.thread is not None or event in _OF_AN_APP):
        _refuse("app", f"{event} of a device or thread, a badge or a flush, needs app")
    if raw.thread is not None and event is not Event.READ:
        _refuse("thread", f"thread belongs to read, and this is {event}")
    if raw.up_to is not None and raw.thread is None:
        _refuse("up_to", "up_to belongs to thread")
    if event in (Event.RECEIVED, Event.OPENED) and not ids:
        _refuse("ids", f"{event} needs ids: which notifications")
    if event is Event.READ and not ids and raw.thread is None:
        _refuse("ids", "read needs ids or thread")
    if raw.until is not None and event is not Event.ACTIVE:
        _refuse("until", f"until belongs to active, and this is {event}")
    if raw.klass is not None and event is not Event.FLUSH:
        _refuse("class", f"class belongs to flush, and this is {event}")
    if event in (Event.SEEN, Event.ACTIVE, Event.BADGE, Event.FLUSH) and ids:
        _refuse("ids", f"{event} has no ids")
    if (raw.count is not None) != (event is Event.BADGE):
        _refuse("count", "badge needs count, and no other event has it")
    if raw.count is not None and not 0 <= raw.count <= MAX_BADGE:
        _refuse("count", f"count is {raw.count}; 0 to {MAX_BADGE}")


def _refuse(field: str, why: str) -> NoReturn:
    raise InvalidInput(Reason.INVALID_FIELD, why, field)
