"""A message as FCM wants it: one JSON body with a hole for each target's token and times.

https://firebase.google.com/docs/reference/fcm/rest/v1/projects.messages
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import orjson

from pushcast.model.batch import Message
from pushcast.model.notification import Content
from pushcast.model.words import Reason
from pushcast.providers.expiry import epoch_seconds, ttl_seconds
from pushcast.providers.unsendable import Unsendable

MAX_PAYLOAD_BYTES: Final = 4096
RESERVED_KEYS: Final = frozenset(("from", "message_type"))
RESERVED_PREFIXES: Final = ("google.", "gcm.")
# Push types that mean something to an Android device; the others are Apple's alone.
PUSH_TYPES: Final = frozenset(("alert", "background", "voip"))


class Rendered(NamedTuple):
    """The body is `head` + `times` % (ttl, apns expiration, ttl) + kind, token, end; see `wrapping`."""

    head: bytes
    times: bytes

    def times_of(self, expires_at: int, now_ms: int) -> bytes:
        """The part of the body that depends on the target's expiry, given in milliseconds (`expiries`)."""
        ttl = ttl_seconds(expires_at, now_ms)
        return self.times % (ttl, epoch_seconds(expires_at), ttl)


TARGET_PREFIX: Final = {0: b',"token":"', 1: b',"fid":"'}  # by index into model.batch.KINDS
END: Final = b'"}}'


def render(message: Message) -> Rendered:
    """The body of a message without what differs per target.

    Shown messages carry `notification.tag` (the collapse id, or one made of the content), so that a delivery that is
    sent twice is shown once. A collapse_key is set only when the notification has a collapse id: FCM keeps no more
    than four per device. The apns and webpush blocks give iOS and web devices behind FCM the same expiry and urgency.
    Raises Unsendable: payload_too_large, reserved_data_key, push_type_unsupported, background_shows_something.
    """
    options, content = message.options, message.content
    if options.push_type not in PUSH_TYPES:
        raise Unsendable(
            "push_type_unsupported", f"push_type {options.push_type} is Apple's alone, FCM cannot send it", "push_type"
        )
    title, body = content.title, content.body
    notification = {key: text for key, text in (("title", title), ("body", body)) if text is not None}
    if options.push_type == "background" and (notification or options.sound is not None or options.badge is not None):
        raise Unsendable(
            "background_shows_something", "push_type background takes no title, body, sound or badge", "push_type"
        )
    _check_data(content)
    urgent = options.priority == "high" and options.push_type != "background"
    head = b'{"validate_only":true,"message":{' if options.dry_run else b'{"message":{'
    if notification:
        head += b'"notification":' + orjson.dumps(notification) + b","
    if content.data:
        head += b'"data":' + orjson.dumps(content.data) + b","
    if len(head) > MAX_PAYLOAD_BYTES:  # as JSON; it is less without quotes and escapes
        _check_size(notification, content.data)
    android = orjson.dumps(_android(message, bool(notification), urgent))
    return Rendered(head + b'"android":' + android[:-1], _times(message, bool(notification), urgent))


def _android(message: Message, shown: bool, urgent: bool) -> dict[str, Any]:
    options = message.options
    android: dict[str, Any] = {"priority": "high" if urgent else "normal"}
    if options.collapse_id is not None:
        android["collapse_key"] = options.collapse_id
    if shown:
        details: dict[str, Any] = {"tag": options.collapse_id or message.content_hash.hex()}
        if options.sound is not None:
            details["sound"] = options.sound
        if options.badge is not None:
            details["notification_count"] = options.badge
        android["notification"] = details
    return android


def _times(message: Message, shown: bool, urgent: bool) -> bytes:
    """The end of the android block and the apns and webpush blocks, with a %d for each time."""
    options = message.options
    headers = {"apns-priority": "10" if urgent and shown else "5"}
    if options.collapse_id is not None:
        headers["apns-collapse-id"] = options.collapse_id
    elif shown:
        headers["apns-collapse-id"] = message.content_hash.hex()
    aps: dict[str, Any] = {}
    if options.sound is not None:
        aps["sound"] = options.sound
    if options.badge is not None:
        aps["badge"] = options.badge
    if options.thread_id is not None:
        aps["thread-id"] = options.thread_id
    if not shown and not aps:
        aps["content-available"] = 1
        headers["apns-push-type"] = "background"
    payload = b',"payload":' + orjson.dumps({"aps": aps}) if aps else b""
    return b"".join(
        (
            b',"ttl":"%ds"},"apns":{"headers":{"apns-expiration":"%d",',
            _literal(orjson.dumps(headers)[1:]),
            _literal(payload),
            b'},"webpush":{"headers":{"TTL":"%d","Urgency":"' + (b"high" if urgent else b"normal") + b'"}}',
        )
    )


def _literal(text: bytes) -> bytes:
    return text.replace(b"%", b"%%")


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
