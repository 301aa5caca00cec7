"""Notification events: JSON and Avro into one validated model.

The hot path of PLAN: what a campaign writes for each user is decoded once (docs/benchmarks.md).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple, TypeVar

import msgspec

from pushcast.model.errors import InvalidInput
from pushcast.model.notification import ONE_MORE, Notification
from pushcast.model.words import Reason
from pushcast.wire.events.class_rules import ClassRule
from pushcast.wire.events.configured import unknown_app
from pushcast.wire.events.notification_json import folded
from pushcast.wire.events.notification_reader import VERSIONS, Parts, read_rest, split
from pushcast.wire.events.notification_rules import (
    RawNotification,
    SharedNotification,
    UsualNotification,
    in_sequence,
    shared_of,
    usual_of,
)
from pushcast.wire.events.timings import MAX_AHEAD_MS, due_and_expiry, spread_by_lane
from pushcast.wire.json_errors import UNREADABLE, from_msgspec
from pushcast.wire.keys import check_id
from pushcast.wire.schemas import SchemaSource, avro_type
from pushcast.wire.times import MAX_EVENT_MS, MAX_MS, MIN_EVENT_MS, check_event_time, to_ms
from pushcast.wire.topics import MAX_INTAKE_BYTES

# What a campaign writes for each of its users is decoded once: 4 MiB of bytes at most.
_MAX_KNOWN = 256
_MAX_KNOWN_BYTES = 8192
#: Behind an event with more than nearly all have so many are not tried as if they had not.
_UNUSUAL_EVENTS = 32
_Value = TypeVar("_Value")


class _Known(NamedTuple):
    id: str
    user: str | None
    app: str | None
    shared: SharedNotification


class NotificationDecoder:
    """Decodes notification records for one set of apps and classes.

    `apps`: known app names; an event that names another is invalid (unknown_app).
    `classes`: class name to its time to live; must hold `default`.
    """

    def __init__(
        self,
        apps: Collection[str],
        classes: Mapping[str, ClassRule],
        schemas: SchemaSource | None = None,
        max_ahead_ms: int = MAX_AHEAD_MS,
        local_spread_ms: int = 0,
        *,
        of_keeper: bool = False,
    ) -> None:
        """`local_spread_ms`: of local times whose events say nothing of a spread. `of_keeper`: events were taken once,
        and are read again."""
        self._is_new = not of_keeper
        self._max_ahead_ms = max_ahead_ms
        self._local_spread_ms = local_spread_ms
        self._apps = frozenset(apps)
        self._classes = dict(classes)
        self._schemas = schemas
        self._json = msgspec.json.Decoder(RawNotification).decode
        self._usual_json = msgspec.json.Decoder(UsualNotification).decode
        self._unusual = 0  # events that are not taken for usual ones
        self._avro = avro_type("notification")
        # By what follows the app in an Avro notification, by the version of its schema.
        self._campaigns: dict[int, dict[bytes, SharedNotification]] = {version: {} for version in VERSIONS}
        self._events: dict[bytes, _Known] = {}  # by the whole JSON

    def change(self, classes: Mapping[str, ClassRule]) -> None:
        """Records from now on go by these, and by those from before that are not among them."""
        self._classes.update(classes)
        self._events.clear()  # what is remembered has the class's time to live
        for known in self._campaigns.values():
            known.clear()

    def decode(self, user: str, value: bytes | None, timestamp_ms: int, trace: bytes | None = None) -> Notification:
        """`user` is the record key's; `timestamp_ms` the record's, or now when it has none.

        Raises InvalidInput with the reason.
        """
        if value is None:
            raise InvalidInput(Reason.TOMBSTONE, "a null value on an event topic means nothing")
        head = value[:1]
        if head == b"{" or head in b" \t\r\n":
            known = self._events.get(value)
            if known is None:
                known = self._from_json(value, user)
            else:
                self._check(known.id, known.user, known.app, user)
            return self._note(known.id, user, known.app, known.shared, timestamp_ms, trace)
        parts = split(value)
        if parts is None:
            _check_size(value)
            raw = self._from_avro(self._avro.decode(value, self._schemas))
            self._check(raw.id, raw.user, raw.app, user)
            return self._note(raw.id, user, raw.app, shared_of(raw, self._classes), timestamp_ms, trace)
        campaigns = self._campaigns[parts.version]
        shared = campaigns.get(parts.rest)
        if shared is None:
            shared = self._shared_of_avro(value, parts, user)
            _remember(campaigns, parts.rest, shared)
        else:
            self._check(parts.id, parts.user, parts.app, user)
        return self._note(parts.id, user, parts.app, shared, timestamp_ms, trace)

    def _shared_of_avro(self, value: bytes, parts: Parts, user: str) -> SharedNotification:
        _check_size(value)
        rest = read_rest(parts.rest, parts.version)
        if rest is None:
            raw = self._from_avro(self._avro.decode(value, self._schemas))
            self._check(raw.id, raw.user, raw.app, user)
            return shared_of(raw, self._classes)
        self._check(parts.id, parts.user, parts.app, user)
        klass, title, body, data, options, created, expires, text = rest
        names = (parts.id, parts.user, parts.app)
        if text is None:
            usual = UsualNotification(*names, klass, title, body, data, options, created, expires)
            if (shared := usual_of(usual, self._classes)) is not None:
                return shared
        raw = RawNotification(*names, klass, title, body, data, None, options, created, expires, text)
        return shared_of(raw, self._classes)

    def _from_json(self, value: bytes, user: str) -> _Known:
        _check_size(value)
        usual = self._usual(value)
        if usual is None:
            raw = self._raw(value)
            self._check(raw.id, raw.user, raw.app, user)
            known = _Known(raw.id, raw.user, raw.app, shared_of(raw, self._classes))
        else:
            self._check(usual.id, usual.user, usual.app, user)
            shared = usual_of(usual, self._classes) or shared_of(usual.raw(), self._classes)
            # Without the call of the class, which costs three times as much: every event with its own content comes by.
            known = tuple.__new__(_Known, (usual.id, usual.user, usual.app, shared))
        _remember(self._events, value, known)
        return known

    def _usual(self, value: bytes) -> UsualNotification | None:
        """Nearly all events have nothing else. Where one has, those that follow are not tried for a while: producers
        write events of one kind after each other, and a try that fails costs as much as one that does not."""
        if self._unusual:
            self._unusual -= 1
            return None
        try:
            return self._usual_json(value)
        except UNREADABLE:
            self._unusual = _UNUSUAL_EVENTS
            return None  # the long way says what it is, or what is wrong with it

    def _raw(self, value: bytes) -> RawNotification:
        try:
            return self._json(value)
        except UNREADABLE as error:
            raise from_msgspec(error, value, RawNotification) from error

    def _from_avro(self, datum: dict[str, Any]) -> RawNotification:
        try:
            return msgspec.convert(folded(datum), RawNotification)
        except msgspec.ValidationError as error:
            raise from_msgspec(error, of=RawNotification) from error

    def _check(self, note_id: str, claimed_user: str | None, app: str | None, user: str) -> None:
        check_id(note_id, "id")
        if claimed_user is not None and claimed_user != user:
            raise InvalidInput(Reason.INVALID_FIELD, "user differs from the record key", "user")
        if app is not None and app not in self._apps:
            raise unknown_app(app, self._apps)

    def _note(
        self,
        note_id: str,
        user: str,
        app: str | None,
        shared: SharedNotification,
        timestamp_ms: int,
        trace: bytes | None,
    ) -> Notification:
        (
            klass,
            ttl_ms,
            content,
            options,
            key,
            created,
            expires,
            text,
            timing,
            campaign,
            ping,
            together,
            override,
            sealing,
            revision,
            removable,
            replay_of,
        ) = shared
        if ping is not None:
            content, options, key = ping.made(note_id, klass)
        if app is None and options.badge == ONE_MORE:
            raise InvalidInput(Reason.INVALID_FIELD, "options.badge +1 needs app: each has a number", "options.badge")
        if type(created) is int and MIN_EVENT_MS <= created <= MAX_EVENT_MS:
            created_at = created
        else:
            created_at = to_ms(created, "created_at", timestamp_ms)
            check_event_time(created_at, "created_at")
        if removable:
            content, key = in_sequence(content, options, key, created_at)
        if type(expires) is int and 0 <= expires <= MAX_MS:
            expires_at = expires
        else:
            expires_at = to_ms(expires, "expires_at", created_at + ttl_ms)
        if expires_at < created_at:
            raise InvalidInput(Reason.INVALID_FIELD, "expires_at is before created_at", "expires_at")
        if text is None and trace is not None:
            text = trace.decode("ascii", "ignore")[:64]
        due, lives_ms = created_at, 0
        if timing is not None:
            own = None if expires is None else expires_at
            if self._local_spread_ms:
                timing = spread_by_lane(timing, self._local_spread_ms, created_at, own, ttl_ms)
            of_whom = campaign or note_id, created_at, own, ttl_ms, self._max_ahead_ms
            due, expires_at = due_and_expiry(timing, user, *of_whom, is_new=self._is_new)
            lives_ms = 0 if own is not None else ttl_ms
        return Notification(
            note_id,
            user,
            app,
            klass,
            content,
            options,
            key,
            created_at,
            expires_at,
            text,
            due,
            timing,
            campaign,
            together,
            lives_ms,
            override,
            None,
            sealing,
            revision,
            replay_of=replay_of,
        )


def _check_size(value: bytes) -> None:
    """Raises InvalidInput. Of what is not remembered: what is has 8 KiB at most.

    A producer that compresses can send more than the topic says, but topics of the keeper, which holds events as they
    came, have room for headers beside so much and no more.
    """
    if len(value) > MAX_INTAKE_BYTES:
        raise InvalidInput(Reason.TOO_LARGE, f"the event has {len(value)} bytes; at most {MAX_INTAKE_BYTES}")


def _remember(known: dict[bytes, _Value], key: bytes, value: _Value) -> None:
    if len(known) >= _MAX_KNOWN:
        known.clear()
    if len(key) <= _MAX_KNOWN_BYTES:
        known[key] = value
