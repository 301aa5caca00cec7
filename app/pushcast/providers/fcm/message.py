"""A message as FCM wants it: one JSON body with a hole for each target's token and times.

https://firebase.google.com/docs/reference/fcm/rest/v1/projects.messages
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import orjson

from pushcast.model.batch import Message
from pushcast.model.notification import Content, Options
from pushcast.model.words import Reason
from pushcast.providers.expiry import epoch_seconds, ttl_seconds
from pushcast.providers.identity import HOLE, NAME
from pushcast.providers.unsendable import Unsendable

MAX_PAYLOAD_BYTES: Final = 4096
RESERVED_KEYS: Final = frozenset(("from", "message_type"))
RESERVED_PREFIXES: Final = ("google.", "gcm.")
# Push types that mean something to an Android device; the others are Apple's alone.
PUSH_TYPES: Final = frozenset(("alert", "background", "voip"))


_TTL: Final = b"\1"
_EXPIRATION: Final = b"\2"
_TTL_SECONDS: Final = orjson.Fragment(b'"\1s"')
_TTL_HEADER: Final = orjson.Fragment(b'"\1"')
_EXPIRATION_HEADER: Final = orjson.Fragment(b'"\2"')
TARGET_PREFIX: Final = {0: b',"token":"', 1: b',"fid":"'}  # by index into model.batch.KINDS
END: Final = b'"}}'


class Rendered(NamedTuple):
    """`head` + `rest` are the body up to its target. `rest` has holes for times and for each delivery's own tag."""

    head: bytes
    rest: bytes

    def parts(self, expires_at: int, now_ms: int, kind: int) -> list[bytes]:
        """The body of targets with this expiry (milliseconds, `expiries`) and kind of address.

        It lacks the delivery's own tag between the parts, and the address and `END` after the last one.
        """
        ttl, expiration = b"%d" % ttl_seconds(expires_at, now_ms), b"%d" % epoch_seconds(expires_at)
        rest = self.rest.replace(_TTL, ttl).replace(_EXPIRATION, expiration)
        return (self.head + rest + TARGET_PREFIX[kind]).split(HOLE)


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
    title, body = content.title, content.body
    notification = {key: text for key, text in (("title", title), ("body", body)) if text}
    heard = bool(options.sound) or options.badge is not None
    if options.push_type == "background" and (notification or heard):
        raise Unsendable(
            "background_shows_something", "push_type background takes no title, body, sound or badge", "push_type"
        )
    _check_data(content)
    urgent = options.priority == "high" and options.push_type != "background"
    fields: dict[str, Any] = {}
    if notification:
        fields["notification"] = notification
    if content.data:
        fields["data"] = content.data
    fields["android"] = _android(options, bool(notification), urgent)
    fields["apns"] = _apns(options, bool(notification), heard, urgent)
    fields["webpush"] = {"headers": {"TTL": _TTL_HEADER, "Urgency": "high" if urgent else "normal"}}
    text = orjson.dumps(fields)
    if len(text) > MAX_PAYLOAD_BYTES:  # as JSON and with all else; what counts is less
        _check_size(notification, content.data)
    first_hole = text.index(_TTL)
    if HOLE in text:
        first_hole = min(first_hole, text.index(HOLE))
    head = b'{"validate_only":true,"message":' if options.dry_run else b'{"message":'
    return Rendered(head + text[:first_hole], text[first_hole:-1])


def _android(options: Options, shown: bool, urgent: bool) -> dict[str, Any]:
    android: dict[str, Any] = {"priority": "high" if urgent else "normal"}
    if options.collapse_id:
        android["collapse_key"] = options.collapse_id
    android["ttl"] = _TTL_SECONDS
    if shown:
        details: dict[str, Any] = {"tag": options.collapse_id or NAME}
        if options.sound:
            details["sound"] = options.sound
        if options.badge is not None:
            details["notification_count"] = options.badge
        android["notification"] = details
    return android


def _apns(options: Options, shown: bool, heard: bool, urgent: bool) -> dict[str, Any]:
    alert = shown or heard
    headers: dict[str, Any] = {
        "apns-priority": "10" if urgent and alert else "5",
        "apns-expiration": _EXPIRATION_HEADER,
    }
    if options.collapse_id or alert:
        headers["apns-collapse-id"] = options.collapse_id or NAME
    aps: dict[str, Any] = {}
    if options.sound:
        aps["sound"] = options.sound
    if options.badge is not None:
        aps["badge"] = options.badge
    if options.thread_id:
        aps["thread-id"] = options.thread_id
    if not alert:
        aps["content-available"] = 1
        headers["apns-push-type"] = "background"
    return {"headers": headers, "payload": {"aps": aps}} if aps else {"headers": headers}


def _check_size(notification: dict[str, str], data: dict[str, str]) -> None:
    parts = (*notification.items(), *data.items())
    size = sum(len(key.encode()) + len(value.encode()) for key, value in parts)
    if size > MAX_PAYLOAD_BYTES:
        raise Unsendable(
            Reason.PAYLOAD_TOO_LARGE, f"FCM notification and data are {size} bytes, at most {MAX_PAYLOAD_BYTES}"
        )


def _check_data(content: Content) -> None:
    for key in content.data:
        if key in RESERVED_KEYS or key.startswith(RESERVED_PREFIXES):
            raise Unsendable("reserved_data_key", f"data: the key {key!r} is reserved by FCM", "data")
