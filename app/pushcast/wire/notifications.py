"""Notification events: JSON and Avro into one validated model.

The hot path of PLAN: what a campaign writes for each user is decoded once (docs/benchmarks.md).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple, TypeVar

import msgspec

from pushcast.model.errors import InvalidInput
from pushcast.model.locales import collision
from pushcast.model.notification import ONE_MORE, Action, Content, LocalText, Notification, Options
from pushcast.model.sealing import Sealing
from pushcast.model.timing import Timing
from pushcast.model.words import Reason
from pushcast.wire.class_rules import ClassRule, overrides_of
from pushcast.wire.configured import unknown_app, unknown_class
from pushcast.wire.content_rules import RESERVED_DATA_KEY, check_content, check_options, without_empty
from pushcast.wire.json_errors import from_msgspec
from pushcast.wire.keys import check_id
from pushcast.wire.live_activities import normalized
from pushcast.wire.more import more_of, text_of
from pushcast.wire.notification_json import folded
from pushcast.wire.notification_reader import VERSIONS, read_rest, split
from pushcast.wire.pings import ping_content, ping_key, ping_options, refuse_unpingable
from pushcast.wire.schemas import SchemaSource, avro_type
from pushcast.wire.times import check_event_time, to_ms
from pushcast.wire.timings import (
    MAX_AHEAD_MS,
    campaign_of,
    due_and_expiry,
    refuse_later_fields,
    timing_of,
    waiting_to_be_read,
)

DEFAULT_CLASS = "default"
MAX_COLLAPSE_ID_BYTES = 64  # apns-collapse-id, reference/providers.md §1.2
# No provider takes more than 5 KiB (providers.md §1.2, §2.2); the rest is room for locales and keeps batches in bounds.
MAX_CONTENT_BYTES = 65_536
MAX_QUOTED_TAG_CHARS = 64
MAX_TRACE_CHARS = 128  # a W3C traceparent of version 00 has 55
NO_OPTIONS = Options()
_AT_ONCE = (None,) * 5
_TEXT = {str}

# What a campaign writes for each of its users is decoded once: 4 MiB of bytes at most.
_MAX_KNOWN = 256
_MAX_KNOWN_BYTES = 8192
_Value = TypeVar("_Value")


class _Raw(msgspec.Struct, forbid_unknown_fields=True):
    id: str
    user: str | None = None
    app: str | None = None
    klass: str | None = msgspec.field(default=None, name="class")
    title: str | None = None
    body: str | None = None
    data: dict[str, Any] | None = None
    locales: dict[str, LocalText] | None = None
    options: Options | None = None
    created_at: int | str | None = None
    expires_at: int | str | None = None
    trace: str | None = None
    subtitle: str | None = None
    image: str | None = None
    link: str | None = None
    category: str | None = None
    actions: tuple[Action, ...] = ()
    platforms: dict[str, dict[str, Any]] = {}
    deliver_at: int | str | None = None
    deliver_local_at: str | None = None
    time_zone: str | None = None
    if_past: str | None = None
    spread_seconds: int | None = None
    unless_read_seconds: int | None = None
    campaign: str | None = None
    digest_key: str | None = None
    revision: int | None = None


#: The JSON form, for documents that are generated from it.
JSON_FORM = _Raw


class _Ping(NamedTuple):
    """What a notification of a class with `privacy: ping` becomes, but for its id."""

    title: str
    shown: bool
    options: Options

    def made(self, note_id: str, klass: str) -> tuple[Content, Options, bytes]:
        """Content, options and content key."""
        title, shown, options = self
        key = ping_key(note_id, klass, options, title, shown)
        return ping_content(note_id, klass, title, shown), options, key


class _Shared(NamedTuple):
    """What notifications of one campaign have in common, valid."""

    klass: str
    ttl_ms: int
    content: Content
    options: Options
    content_key: bytes
    created_at: int | str | None
    expires_at: int | str | None
    trace: str | None
    timing: Timing | None
    campaign: str | None
    ping: _Ping | None  # in place of content, options and key
    digest_key: str | None = None
    override: tuple[str, ...] = ()
    sealing: Sealing | None = None


class _Known(NamedTuple):
    id: str
    user: str | None
    app: str | None
    shared: _Shared


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
    ) -> None:
        self._max_ahead_ms = max_ahead_ms
        self._apps = frozenset(apps)
        self._classes = dict(classes)
        self._schemas = schemas
        self._json = msgspec.json.Decoder(_Raw).decode
        self._avro = avro_type("notification")
        # By what follows the app in an Avro notification, by the version of its schema.
        self._campaigns: dict[int, dict[bytes, _Shared]] = {version: {} for version in VERSIONS}
        self._events: dict[bytes, _Known] = {}  # by the whole JSON
        self._pack = msgspec.msgpack.Encoder(order="deterministic").encode

    def change(self, classes: Mapping[str, ClassRule]) -> None:
        """Records from now on go by these, and by those from before that are not among them."""
        self._classes.update(classes)

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
            raw = self._from_avro(self._avro.decode(value, self._schemas))
            self._check(raw.id, raw.user, raw.app, user)
            return self._note(raw.id, user, raw.app, self._shared(raw), timestamp_ms, trace)
        campaigns = self._campaigns[parts.version]
        shared = campaigns.get(parts.rest)
        if shared is None:
            rest = read_rest(parts.rest, parts.version)
            if rest is None:
                raw = self._from_avro(self._avro.decode(value, self._schemas))
            else:
                klass, title, body, data, options, created, expires, text = rest
                names = (parts.id, parts.user, parts.app)
                raw = _Raw(*names, klass, title, body, data, None, options, created, expires, text)
            self._check(raw.id, raw.user, raw.app, user)
            shared = self._shared(raw)
            _remember(campaigns, parts.rest, shared)
        else:
            self._check(parts.id, parts.user, parts.app, user)
        return self._note(parts.id, user, parts.app, shared, timestamp_ms, trace)

    def _from_json(self, value: bytes, user: str) -> _Known:
        try:
            raw = self._json(value)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise from_msgspec(error, value) from error
        self._check(raw.id, raw.user, raw.app, user)
        known = _Known(raw.id, raw.user, raw.app, self._shared(raw))
        _remember(self._events, value, known)
        return known

    def _from_avro(self, datum: dict[str, Any]) -> _Raw:
        try:
            return msgspec.convert(folded(datum), _Raw)
        except msgspec.ValidationError as error:
            raise from_msgspec(error) from error

    def _check(self, note_id: str, claimed_user: str | None, app: str | None, user: str) -> None:
        check_id(note_id, "id")
        if claimed_user is not None and claimed_user != user:
            raise InvalidInput(Reason.INVALID_FIELD, "user differs from the record key", "user")
        if app is not None and app not in self._apps:
            raise unknown_app(app, self._apps)

    def _shared(self, raw: _Raw) -> _Shared:
        klass = raw.klass or DEFAULT_CLASS
        rule = self._classes.get(klass)
        if rule is None:
            raise unknown_class(klass, self._classes)
        title, body, subtitle = raw.title or None, raw.body or None, raw.subtitle or None
        data, locales = raw.data or None, raw.locales or None
        options, ttl_ms = NO_OPTIONS, rule.ttl_ms
        override: tuple[str, ...] = ()
        if raw.options is not None:
            options = _without_empty(raw.options)
        if not (title or body or subtitle or data or raw.platforms) and not _acts(options):
            raise InvalidInput(
                Reason.INVALID_FIELD,
                "one of title, subtitle, body, data, options.badge, options.sound, options.live_activity, platforms "
                "is required",
                "title",
            )
        content = Content(
            title,
            body,
            data or {},
            locales or {},
            subtitle,
            raw.image or None,
            raw.link or None,
            raw.category or None,
            raw.actions,
            raw.platforms,
        )
        plain = content == Content(title, body, content.data, content.locales) and (data is None or _is_texts(data))
        if not plain or locales is not None:
            check_content(content)
        if options is not NO_OPTIONS:
            check_options(options, content)
            if options.ttl_seconds is not None:
                ttl_ms = options.ttl_seconds * 1000
                options = msgspec.structs.replace(options, ttl_seconds=None)
            if options.override:
                override = overrides_of(options.override, klass, rule.may_override)
                options = msgspec.structs.replace(options, override=())
        if options.collapse_id is not None and len(options.collapse_id.encode()) > MAX_COLLAPSE_ID_BYTES:
            raise InvalidInput(
                Reason.INVALID_FIELD,
                f"options.collapse_id has more than {MAX_COLLAPSE_ID_BYTES} bytes",
                "options.collapse_id",
            )
        if options.live_activity is not None:
            options = normalized(options, options.live_activity)
        if raw.trace is not None and len(raw.trace) > MAX_TRACE_CHARS:
            raise InvalidInput(
                Reason.INVALID_FIELD, f"trace has {len(raw.trace)} characters; at most {MAX_TRACE_CHARS}", "trace"
            )
        twice = None if locales is None else collision(locales)
        if twice is not None:
            first, second = (tag[:MAX_QUOTED_TAG_CHARS] for tag in twice)
            raise InvalidInput(
                Reason.INVALID_FIELD, f"locales has {first!r} and {second!r}, which are one language tag", "locales"
            )
        key = self._pack((klass, title, body, data, locales, None if options == NO_OPTIONS else options))
        more = None if plain and options == NO_OPTIONS else text_of(more_of(content, options))
        if more is not None:
            key += more.encode()
        if len(key) > MAX_CONTENT_BYTES:
            raise InvalidInput(
                Reason.TOO_LARGE, f"the content has {len(key)} bytes; at most {MAX_CONTENT_BYTES}", "body"
            )
        refuse_later_fields(raw.revision)
        when = raw.deliver_at, raw.deliver_local_at, raw.time_zone, raw.if_past, raw.spread_seconds
        timing = None if when == _AT_ONCE else timing_of(*when)
        unless_read = rule.unless_read_seconds if raw.unless_read_seconds is None else raw.unless_read_seconds
        if unless_read:
            timing = waiting_to_be_read(timing, unless_read)
        campaign = campaign_of(raw.campaign)
        digest_key = None if raw.digest_key is None else check_id(raw.digest_key, "digest_key")
        times = raw.created_at, raw.expires_at
        ping = None if rule.ping_title is None else _ping(rule.ping_title, klass, content, options)
        if rule.sealing is not None:
            refuse_unpingable(klass, options)
        content_of = klass, ttl_ms, content, options, key, *times, raw.trace
        return _Shared(*content_of, timing, campaign, ping, digest_key, override, rule.sealing)

    def _note(
        self, note_id: str, user: str, app: str | None, shared: _Shared, timestamp_ms: int, trace: bytes | None
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
        ) = shared
        if ping is not None:
            content, options, key = ping.made(note_id, klass)
        if app is None and options.badge == ONE_MORE:
            raise InvalidInput(Reason.INVALID_FIELD, "options.badge +1 needs app: each has a number", "options.badge")
        created_at = to_ms(created, "created_at", timestamp_ms)
        check_event_time(created_at, "created_at")
        expires_at = to_ms(expires, "expires_at", created_at + ttl_ms)
        if expires_at < created_at:
            raise InvalidInput(Reason.INVALID_FIELD, "expires_at is before created_at", "expires_at")
        if text is None and trace is not None:
            text = trace.decode("ascii", "ignore")[:64]
        due, lives_ms = created_at, 0
        if timing is not None:
            own = None if expires is None else expires_at
            of_whom = campaign or note_id, created_at, own, ttl_ms, self._max_ahead_ms
            due, expires_at = due_and_expiry(timing, user, *of_whom)
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
        )


def _ping(title: str, klass: str, content: Content, options: Options) -> _Ping:
    refuse_unpingable(klass, options)
    shown = content.shown or options.heard
    return _Ping(title, shown, ping_options(klass, options, shown))


def _without_empty(options: Options) -> Options:
    """An empty text is an absent one."""
    empty = without_empty(options)
    return msgspec.structs.replace(options, **empty) if empty else options


def _is_texts(data: dict[str, Any]) -> bool:
    """As nearly all data are: nothing in them needs a check."""
    return RESERVED_DATA_KEY not in data and set(map(type, data.values())) == _TEXT


def _acts(options: Options) -> bool:
    """Whether there is something for a device in a notification without text and data."""
    return options.badge is not None or options.sound is not None or options.live_activity is not None


def _remember(known: dict[bytes, _Value], key: bytes, value: _Value) -> None:
    if len(known) >= _MAX_KNOWN:
        known.clear()
    if len(key) <= _MAX_KNOWN_BYTES:
        known[key] = value
