"""Cancels from JSON and Avro: one validator for whoever writes them."""

from __future__ import annotations

from typing import Final

import msgspec

from pushcast.model.errors import InvalidInput
from pushcast.model.words import Reason
from pushcast.wire.events.event_forms import read_event
from pushcast.wire.keys import check_id
from pushcast.wire.schemas import SchemaSource, avro_type
from pushcast.wire.times import check_event_time, to_ms

MAX_IDS: Final = 1_000
MAX_REASON_CHARS: Final = 500
#: How long a cancel holds at most, from its record's time on: as long as its topic keeps it.
LONGEST_MS: Final = 7 * 86_400_000


class Cancel(msgspec.Struct, frozen=True):
    """A valid cancel. Times are milliseconds since the epoch.

    `ids` must not leave until `until`; of `thread` what was created at or before `at`.
    """

    user: str
    ids: tuple[str, ...]
    app: str | None
    thread: str | None
    remove: bool
    reason: str | None
    at: int
    until: int


class _Raw(msgspec.Struct, forbid_unknown_fields=True):
    user: str | None = None
    ids: list[str] | None = None
    app: str | None = None
    thread: str | None = None
    remove: bool = False
    reason: str | None = None
    at: int | str | None = None
    until: int | str | None = None


class CancelDecoder:
    """Decodes `push.cancel.v1`."""

    def __init__(self, schemas: SchemaSource | None = None) -> None:
        self._schemas = schemas
        self._json = msgspec.json.Decoder(_Raw).decode
        self._avro = avro_type("cancel")

    def decode(self, user: str, value: bytes | None, timestamp_ms: int) -> Cancel:
        """`user` is the record key's, `timestamp_ms` the record's. Raises InvalidInput with reason and field."""
        if value is None:
            raise InvalidInput(Reason.TOMBSTONE, "a null value on an event topic means nothing")
        raw = read_event(value, _Raw, self._json, self._avro, self._schemas)
        return _validated(raw, user, timestamp_ms)


def encode_cancel(cancel: Cancel) -> bytes:
    """Value of a record in `push.cancel.v1`."""
    return avro_type("cancel").encode({**msgspec.structs.asdict(cancel), "ids": list(cancel.ids)})


def _validated(raw: _Raw, user: str, timestamp_ms: int) -> Cancel:
    if raw.user is not None and raw.user != user:
        raise InvalidInput(Reason.INVALID_FIELD, "user differs from the record key", "user")
    ids = raw.ids or []
    if not ids and raw.thread is None:
        raise InvalidInput(Reason.INVALID_FIELD, "ids or thread is required", "ids")
    if len(ids) > MAX_IDS:
        raise InvalidInput(Reason.TOO_MANY, f"ids has {len(ids)} entries; at most {MAX_IDS}", "ids")
    for note_id in ids:
        check_id(note_id, "ids")
    if raw.thread is not None:
        check_id(raw.thread, "thread")
        if raw.app is None:
            raise InvalidInput(Reason.INVALID_FIELD, "thread needs app: a thread belongs to one app", "app")
    if raw.app is not None:
        check_id(raw.app, "app")
    if raw.reason is not None and len(raw.reason) > MAX_REASON_CHARS:
        raise InvalidInput(
            Reason.INVALID_FIELD, f"reason has {len(raw.reason)} characters; at most {MAX_REASON_CHARS}", "reason"
        )
    at = to_ms(raw.at, "at", timestamp_ms)
    check_event_time(at, "at")
    last = timestamp_ms + LONGEST_MS
    until = to_ms(raw.until, "until", last)
    if not at < until <= last:
        raise InvalidInput(
            Reason.INVALID_FIELD, "until is not after at, or more than 7 days after the record's time", "until"
        )
    # What is yet to be created is not cancelled by a clock that runs ahead.
    return Cancel(user, tuple(ids), raw.app, raw.thread, raw.remove, raw.reason, min(at, timestamp_ms), until)
