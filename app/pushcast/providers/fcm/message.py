"""A message as FCM wants it: one JSON body with a hole for each target's token and times.

https://firebase.google.com/docs/reference/fcm/rest/v1/projects.messages
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final, NamedTuple

import orjson

from pushcast.model.batch import Message
from pushcast.model.notification import Content, Options
from pushcast.model.words import Platform, Reason
from pushcast.providers.apple import add_apple_fields, apple_sound
from pushcast.providers.extras import (
    OWN_KEY,
    has_own_object,
    json_text,
    overridden,
    own_object,
    refuse_background_with_something,
)
from pushcast.providers.fcm.bodies import EXPIRATION_HOLE, TTL_HOLE
from pushcast.providers.fcm.size import check_size, limit_of
from pushcast.providers.identity import HOLE, ID_HOLE, NAME, filled_size, quoted
from pushcast.providers.unsendable import Unsendable

RESERVED_KEYS: Final = frozenset(("from", "message_type"))
RESERVED_PREFIXES: Final = ("google.", "gcm.")
# Push types that mean something to an Android device; the others are Apple's alone.
PUSH_TYPES: Final = frozenset(("alert", "background", "voip"))


_TTL_SECONDS: Final = orjson.Fragment(b'"%bs"' % TTL_HOLE)
_TTL_HEADER: Final = orjson.Fragment(b'"%b"' % TTL_HOLE)
_EXPIRATION_HEADER: Final = orjson.Fragment(b'"%b"' % EXPIRATION_HOLE)
#: Stands for the texts where only their being there matters.
_SHOWN: Final = {"title": ""}
_HOLES: Final = (TTL_HOLE, HOLE, ID_HOLE)


# An Android block with one of these shows something without the notification beside it.
_ANDROID_TEXTS: Final = frozenset(("title", "body", "title_loc_key", "body_loc_key"))


class Rendered(NamedTuple):
    """`head` + `rest` are the body up to its target, with the holes of `fcm.bodies` in `rest`."""

    head: bytes
    rest: bytes


def render(message: Message) -> Rendered:
    """The body of a message without what differs per target.

    Shown messages carry `notification.tag` (the collapse id, or the delivery's own), so that one that is sent twice is
    shown once. A collapse_key is set only when the notification has a collapse id: FCM keeps no more than four per
    device. The apns and webpush blocks give iOS and web devices behind FCM the same expiry and urgency. A badge or a
    sound alone is an alert on iOS and a data message on Android, where it would be an empty notification.
    Raises Unsendable: payload_too_large, reserved_data_key, push_type_unsupported, background_shows_something.
    """
    options, content = message.options, message.content
    if options.push_type not in PUSH_TYPES:
        raise Unsendable(
            "push_type_unsupported", f"push_type {options.push_type} is Apple's alone, FCM cannot send it", "push_type"
        )
    refuse_background_with_something(message)
    _check_data(content)
    head = b'{"validate_only":true,"message":' if options.dry_run else b'{"message":'
    if _is_plain(content) and options.live_activity is None:  # as nearly all: no more than texts and data
        fields = _texts_and_data(message)
        text = orjson.dumps(fields)
        rest = _rest(options, "notification" in fields)
        if len(text) + len(rest) > limit_of(message):
            check_size(_fields(message), message)
        return Rendered(head + text[:-1] + b"," if fields else head + b"{", rest)
    fields = overridden(_fields(message), message, Platform.FCM)
    _settle_kind(fields, options)
    text = orjson.dumps(fields)
    if filled_size(text, message) > limit_of(message):  # as JSON and with all else; what counts is less
        check_size(fields, message)
    first_hole = min(at for hole in _HOLES if (at := text.find(hole)) >= 0)
    return Rendered(head + text[:first_hole], text[first_hole:-1])


def _is_plain(content: Content) -> bool:
    return not (has_own_object(content) or content.subtitle or content.category or content.platforms)


@lru_cache(maxsize=1024)
def _rest(options: Options, shown: bool) -> bytes:
    """What follows texts and data in a message that has no more than these: options alone decide it."""
    content = Content("shown" if shown else None)
    fields = _blocks(content, options)
    if shown:
        fields["notification"] = _SHOWN
    _settle_kind(fields, options)
    fields.pop("notification", None)
    return orjson.dumps(fields)[1:-1]


def _fields(message: Message) -> dict[str, Any]:
    """FCM's message before what its kind decides."""
    return _texts_and_data(message) | _blocks(message.content, message.options)


def _texts_and_data(message: Message) -> dict[str, Any]:
    content = message.content
    texts = (("title", content.title), ("body", content.body))
    notification = {key: text for key, text in texts if text}
    fields: dict[str, Any] = {}
    if notification:
        if content.image:
            notification["image"] = content.image
        fields["notification"] = notification
    data: dict[str, Any] = {key: json_text(value) for key, value in content.data.items()}
    if has_own_object(content):
        data[OWN_KEY] = _own_text(message)
    if data:
        fields["data"] = data
    return fields


def _blocks(content: Content, options: Options) -> dict[str, Any]:
    """What else there is: android, apns and webpush, for whatever is shown."""
    urgent, fields = _is_urgent(options), {}
    android: dict[str, Any] = {"priority": "high" if urgent else "normal"}
    if options.collapse_id:
        android["collapse_key"] = options.collapse_id
    android["ttl"] = _TTL_SECONDS
    if content.title or content.body:
        android["notification"] = _android_notification(content, options)
    fields["android"] = android
    aps = _aps(content, options)
    fields["apns"] = {"headers": {"apns-expiration": _EXPIRATION_HEADER}, "payload": {"aps": aps}}
    fields["webpush"] = {"headers": {"TTL": _TTL_HEADER, "Urgency": "high" if urgent else "normal"}}
    if content.link and content.link.startswith("https://"):  # FCM takes no other
        fields["webpush"]["fcm_options"] = {"link": content.link}
    if options.analytics_label:
        fields["fcm_options"] = {"analytics_label": options.analytics_label}
    return fields


def _own_text(message: Message) -> orjson.Fragment:
    """Our object as a text, as all of `data` is; the hole for the notification's id stays one."""
    parts = orjson.dumps(own_object(message)).split(ID_HOLE)
    return orjson.Fragment(b'"' + ID_HOLE.join(quoted(part.decode()) for part in parts) + b'"')


def _android_notification(content: Content, options: Options) -> dict[str, Any]:
    details: dict[str, Any] = {"tag": options.collapse_id or NAME}
    if options.sound_name:
        details["sound"] = options.sound_name
    if options.badge is not None:
        details["notification_count"] = options.badge
    if options.channel_id:
        details["channel_id"] = options.channel_id
    if content.category:
        details["click_action"] = content.category
    return details


def _aps(content: Content, options: Options) -> dict[str, Any]:
    """FCM makes the alert of title and body itself; a subtitle it does not know."""
    aps: dict[str, Any] = {}
    if content.subtitle:
        texts = (("title", content.title), ("subtitle", content.subtitle), ("body", content.body))
        aps["alert"] = {key: text for key, text in texts if text}
    if options.sound:
        aps["sound"] = apple_sound(options.sound)
    if options.badge is not None:
        aps["badge"] = options.badge
    if options.thread_id:
        aps["thread-id"] = options.thread_id
    add_apple_fields(aps, content, options)
    return aps


def _is_urgent(options: Options) -> bool:
    return options.priority == "high" and options.push_type != "background"


def _settle_kind(fields: dict[str, Any], options: Options) -> None:
    """What an alert has on each platform and a background push has not, by what the message shows in the end."""
    shown = bool(fields.get("notification"))
    android, apns = fields["android"], fields["apns"]
    details = android.get("notification")
    if not shown and isinstance(details, dict) and not details.keys() & _ANDROID_TEXTS:
        del android["notification"]
    payload = apns.get("payload")
    aps = payload.get("aps") if isinstance(payload, dict) else None
    aps = aps if isinstance(aps, dict) else {}
    alert = shown or bool(aps.keys() & {"alert", "sound", "badge"})
    headers = apns["headers"]
    headers.setdefault("apns-priority", "10" if alert and _is_urgent(options) else "5")
    if options.collapse_id or alert:
        headers["apns-collapse-id"] = options.collapse_id or NAME
    if not alert:
        aps["content-available"] = 1
        headers.setdefault("apns-push-type", "background")
        apns["payload"] = {**(payload if isinstance(payload, dict) else {}), "aps": aps}
    elif not aps and payload == {"aps": {}}:
        del apns["payload"]


def _check_data(content: Content) -> None:
    for key in content.data:
        if key in RESERVED_KEYS or key.startswith(RESERVED_PREFIXES):
            raise Unsendable(Reason.RESERVED_DATA_KEY, f"data: the key {key!r} is reserved by FCM", f"data.{key}")
