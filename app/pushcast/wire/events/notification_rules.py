"""What a notification event may say: the JSON form, and the checks that a campaign's notifications share. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from pushcast.model.errors import InvalidInput
from pushcast.model.locales import collision
from pushcast.model.notification import Action, Content, LocalText, Options
from pushcast.model.recalls import SEQ
from pushcast.model.sealing import Sealing
from pushcast.model.timing import Timing
from pushcast.model.words import Reason
from pushcast.wire.events.class_rules import ClassRule, overrides_of
from pushcast.wire.events.configured import unknown_class
from pushcast.wire.events.content_rules import RESERVED_DATA_KEY, check_content, check_options, without_empty
from pushcast.wire.events.live_activities import normalized
from pushcast.wire.events.more import is_texts, more_of
from pushcast.wire.events.pings import ping_content, ping_key, ping_options, refuse_unpingable
from pushcast.wire.events.timings import (
    campaign_of,
    revision_of,
    timing_of,
    waiting_to_be_read,
)
from pushcast.wire.keys import check_id

DEFAULT_CLASS = "default"
MAX_COLLAPSE_ID_BYTES = 64  # apns-collapse-id, reference/providers.md §1.2
# No provider takes more than 5 KiB (providers.md §1.2, §2.2); the rest is room for locales and keeps batches in bounds.
MAX_CONTENT_BYTES = 65_536
MAX_QUOTED_TAG_CHARS = 64
MAX_TRACE_CHARS = 128  # a W3C traceparent of version 00 has 55
NO_OPTIONS = Options()
_AT_ONCE = (None,) * 5
_TEXT = {str}
#: timing, campaign, ping, digest_key, override, sealing, revision
_NO_MORE_OF = (None, None, None, None, (), None, None)
_PACK = msgspec.msgpack.Encoder(order="deterministic").encode


class RawNotification(msgspec.Struct, forbid_unknown_fields=True):
    """The JSON form."""

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
    replay_of: str | None = None


class UsualNotification(msgspec.Struct, forbid_unknown_fields=True):
    """The JSON form of what nearly all events are."""

    id: str
    user: str | None = None
    app: str | None = None
    klass: str | None = msgspec.field(default=None, name="class")
    title: str | None = None
    body: str | None = None
    data: dict[str, Any] | None = None
    options: Options | None = None
    created_at: int | str | None = None
    expires_at: int | str | None = None

    def raw(self) -> RawNotification:
        """The same with every other field absent."""
        names = self.id, self.user, self.app, self.klass
        return RawNotification(
            *names, self.title, self.body, self.data, None, self.options, self.created_at, self.expires_at
        )


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


class SharedNotification(NamedTuple):
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
    revision: int | None = None
    removable: bool = False
    replay_of: str | None = None


def shared_of(raw: RawNotification, classes: Mapping[str, ClassRule]) -> SharedNotification:
    """What the notifications of one campaign share, checked. Raises InvalidInput naming field and limit."""
    klass = raw.klass or DEFAULT_CLASS
    rule = classes.get(klass)
    if rule is None:
        raise unknown_class(klass, classes)
    title, body, data = raw.title or None, raw.body or None, raw.data or None
    subtitle, locales = raw.subtitle or None, raw.locales or None
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
    texts = subtitle, raw.image or None, raw.link or None, raw.category or None
    content = Content(title, body, data or {}, locales or {}, *texts, raw.actions, raw.platforms)
    # As nearly all are: nothing in them needs a check.
    plain = content == Content(title, body, content.data, content.locales)
    plain = plain and (data is None or (RESERVED_DATA_KEY not in data and is_texts(data)))
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
    _check_rest(raw.trace, locales)
    key = _PACK((klass, title, body, data, locales, None if options == NO_OPTIONS else options))
    more = None if plain and options == NO_OPTIONS else more_of(content, options)
    if more is not None:
        key += more.encode()
    if len(key) > MAX_CONTENT_BYTES:
        raise InvalidInput(Reason.TOO_LARGE, f"the content has {len(key)} bytes; at most {MAX_CONTENT_BYTES}", "body")
    if rule.tracked:
        content = msgspec.structs.replace(content, tracked=True)
    content_of = klass, ttl_ms, content, options, key, raw.created_at, raw.expires_at, raw.trace
    revision = revision_of(raw.revision)
    when = raw.deliver_at, raw.deliver_local_at, raw.time_zone, raw.if_past, raw.spread_seconds
    timing = None if when == _AT_ONCE else timing_of(*when)
    unless_read = rule.unless_read_seconds if raw.unless_read_seconds is None else raw.unless_read_seconds
    if unless_read:
        timing = waiting_to_be_read(timing, unless_read)
    campaign = campaign_of(raw.campaign)
    digest_key = None if raw.digest_key is None else check_id(raw.digest_key, "digest_key")
    replay_of = None if raw.replay_of is None else check_id(raw.replay_of, "replay_of")
    ping = None if rule.ping_title is None else _ping(rule.ping_title, klass, content, options)
    if rule.sealing is not None:
        refuse_unpingable(klass, options)
    told = digest_key, override, rule.sealing, revision, rule.removable, replay_of
    return SharedNotification(*content_of, timing, campaign, ping, *told)


def usual_of(raw: UsualNotification, classes: Mapping[str, ClassRule]) -> SharedNotification | None:
    """`shared_of` of one whose content needs no check; None: the long way says what it is.

    Every event with a content of its own comes here: the long way takes twice as long.
    """
    klass = raw.klass or DEFAULT_CLASS
    rule = classes.get(klass)
    if rule is None or rule.ping_title is not None or rule.sealing is not None or rule.unless_read_seconds:
        return None
    if rule.tracked:
        return None
    title, body, data, options = raw.title or None, raw.body or None, raw.data or None, raw.options
    if title is None and body is None and data is None:
        return None
    if data is not None and (RESERVED_DATA_KEY in data or set(map(type, data.values())) != _TEXT):
        return None
    if options is None:
        options, packed = NO_OPTIONS, None
    elif (
        options.live_activity is None
        and options.interruption_level is None
        and options.relevance_score is None
        and not options.mutable_content
        and options.channel_id is None
        and options.analytics_label is None
        and options.ttl_seconds is None
        and not options.override
        and options.push_type == "alert"
        and (options.thread_id is None or options.thread_id)
        and (options.sound is None or (options.sound and type(options.sound) is str))
        and ((own := options.collapse_id) is None or (own and len(own) * 4 <= MAX_COLLAPSE_ID_BYTES))
    ):
        packed = None if options == NO_OPTIONS else options
    else:
        return None
    key = _PACK((klass, title, body, data, None, packed))
    if len(key) > MAX_CONTENT_BYTES:
        return None
    # Without the call of the class, which costs as much again.
    content = Content(title, body, data or {})
    content_of = klass, rule.ttl_ms, content, options, key, raw.created_at, raw.expires_at, None
    return tuple.__new__(SharedNotification, content_of + _NO_MORE_OF + (rule.removable, None))


def _check_rest(trace: str | None, locales: Mapping[str, LocalText] | None) -> None:
    """Raises InvalidInput."""
    if trace is not None and len(trace) > MAX_TRACE_CHARS:
        raise InvalidInput(
            Reason.INVALID_FIELD, f"trace has {len(trace)} characters; at most {MAX_TRACE_CHARS}", "trace"
        )
    twice = None if locales is None else collision(locales)
    if twice is not None:
        first, second = (tag[:MAX_QUOTED_TAG_CHARS] for tag in twice)
        raise InvalidInput(
            Reason.INVALID_FIELD, f"locales has {first!r} and {second!r}, which are one language tag", "locales"
        )


def in_sequence(content: Content, options: Options, key: bytes, created_at: int) -> tuple[Content, bytes]:
    """Content and key of a notification that may be taken back: its data says when it was created, so that an app can
    tell it from what came after the removal. What a producer says under that name stays."""
    if SEQ in content.data or options.live_activity is not None:
        return content, key
    return msgspec.structs.replace(content, data={**content.data, SEQ: created_at}), key + b"\0seq%d" % created_at


def _ping(title: str, klass: str, content: Content, options: Options) -> _Ping:
    refuse_unpingable(klass, options)
    shown = content.shown or options.heard
    return _Ping(title, shown, ping_options(klass, options, shown))


def _without_empty(options: Options) -> Options:
    """An empty text is an absent one."""
    empty = without_empty(options)
    return msgspec.structs.replace(options, **empty) if empty else options


def _acts(options: Options) -> bool:
    """Whether there is something for a device in a notification without text and data."""
    return options.badge is not None or options.sound is not None or options.live_activity is not None
