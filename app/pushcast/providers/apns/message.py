"""A message as APNs wants it: headers and payload, once for all its targets.

Rules and limits: https://developer.apple.com/documentation/usernotifications/generating-a-remote-notification and
https://developer.apple.com/documentation/usernotifications/sending-notification-requests-to-apns
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Final, NamedTuple

import msgspec
import orjson

from pushcast.model.batch import Message
from pushcast.model.notification import Options
from pushcast.model.words import Platform, Reason
from pushcast.providers.apns.live_activity import fields_of
from pushcast.providers.apple import add_apple_fields, apple_sound
from pushcast.providers.extras import data_of, has_own_object, overridden, too_large
from pushcast.providers.identity import size_with_ids
from pushcast.providers.unsendable import Unsendable

MAX_PAYLOAD_BYTES: Final = 4096
MAX_VOIP_PAYLOAD_BYTES: Final = 5120
MAX_COLLAPSE_ID_BYTES: Final = 64

IMMEDIATE: Final = b"10"
POWER_AWARE: Final = b"5"


class PushKind(NamedTuple):
    """What a push type demands of the other headers. `priority` None: as the notification says."""

    topic_suffix: str = ""
    priority: bytes | None = None
    max_payload_bytes: int = MAX_PAYLOAD_BYTES
    stored: bool = True  # False: apns-expiration 0, one attempt


PUSH_KINDS: Final[dict[str, PushKind]] = {
    "alert": PushKind(),
    "background": PushKind(priority=POWER_AWARE),
    "voip": PushKind(".voip", IMMEDIATE, MAX_VOIP_PAYLOAD_BYTES),
    "complication": PushKind(".complication", IMMEDIATE),
    "fileprovider": PushKind(".pushkit.fileprovider"),
    "location": PushKind(".location-query"),
    "liveactivity": PushKind(".push-type.liveactivity"),
    "pushtotalk": PushKind(".voip-ptt", IMMEDIATE, stored=False),
    "widgets": PushKind(".push-type.widgets"),
    "controls": PushKind(".push-type.controls"),
}


#: APNs wants an alert to say something.
_FILTERED_TITLE: Final = "…"
_CONTENT_CHANGED: Final = frozenset(("widgets", "controls"))


Headers = tuple[tuple[bytes, bytes], ...]


class Rendered(NamedTuple):
    """What all targets share. `headers` are the same for many messages, so that these can share a template.

    `collapse_id`: the producer's; without one `collapses` says whether each target gets its own (`identity`).
    `stored` False: apns-expiration is 0 whatever the target's expiry. `has_ids`: the body has holes for the ids of its
    notifications (`identity.with_ids`).
    """

    headers: Headers
    collapse_id: bytes | None
    collapses: bool
    body: bytes
    stored: bool
    has_ids: bool = False


def render(message: Message, topic: str, *, max_bytes: int | None = None) -> Rendered:
    """Headers (without authorization, apns-id and apns-expiration) and payload of a message.

    A message that shows nothing (no title, body, sound or badge) goes as a background push whatever its push type
    `alert` says, because APNs delays or drops an alert without anything to alert with. Alerts without a collapse id
    get one per delivery, so that one that is sent twice is shown once. Title, body and sound of a Live Activity are its
    alert. Empty texts are absent ones. `max_bytes`: of the payload; None: what the push type may have.
    Raises Unsendable: payload_too_large, reserved_data_key, background_shows_something, invalid_field,
    push_type_unsupported.
    """
    options = message.options
    if "aps" in message.content.data:
        raise Unsendable(Reason.RESERVED_DATA_KEY, "data: the key 'aps' belongs to APNs", "data.aps")
    payload = overridden({"aps": _aps(message), **data_of(message)}, message, Platform.APNS)
    aps = payload.setdefault("aps", {})
    if not isinstance(aps, dict):
        raise Unsendable(Reason.INVALID_FIELD, "platforms.apns.aps is no object", "platforms.apns.aps")
    push_type: str = options.push_type
    alerts = "alert" in aps or "sound" in aps or "badge" in aps
    if push_type == "alert" and not alerts:
        push_type = "background"
    if push_type == "background":
        if alerts:
            raise Unsendable(
                "background_shows_something", "push_type background takes no title, body, sound or badge", "push_type"
            )
        aps["content-available"] = 1
    elif push_type == "liveactivity":
        payload["aps"] = fields_of(options.live_activity, min(message.created_at)) | aps
    elif push_type in _CONTENT_CHANGED:
        aps["content-changed"] = True
    kind = PUSH_KINDS.get(push_type)
    if kind is None:
        raise Unsendable(
            "push_type_unsupported",
            f"push_type {push_type[:64]} is unknown to this release",
            "push_type",
        )
    body = orjson.dumps(payload)
    has_ids = len(message.notification_ids) > 1 and has_own_object(message.content)
    size = size_with_ids(body, message) if has_ids else len(body)
    limit = max_bytes or kind.max_payload_bytes
    if size > limit:
        raise too_large(f"APNs payload of push type {push_type}", size, limit)
    headers = _headers(push_type, options.priority, topic)
    collapse_id = _collapse_id(options)
    collapses = collapse_id is not None or push_type == "alert"
    return Rendered(headers, collapse_id, collapses, body, kind.stored, has_ids)


def to_be_filtered(message: Message) -> Message:
    """A removal as an alert that the app's service extension hides: it runs where no background push would wake the
    app. An app without the entitlement shows the alert."""
    options = msgspec.structs.replace(message.options, push_type="alert", mutable_content=True)
    return replace(message, content=msgspec.structs.replace(message.content, title=_FILTERED_TITLE), options=options)


@lru_cache(maxsize=256)
def _headers(push_type: str, priority: str, topic: str) -> Headers:
    kind = PUSH_KINDS[push_type]
    return (
        (b"apns-topic", (topic + kind.topic_suffix).encode()),
        (b"apns-push-type", push_type.encode()),
        (b"apns-priority", kind.priority or (IMMEDIATE if priority == "high" else POWER_AWARE)),
    )


def _aps(message: Message) -> dict[str, Any]:
    content, options = message.content, message.options
    aps: dict[str, Any] = {}
    alert = {}
    if content.title:
        alert["title"] = content.title
    if content.subtitle:
        alert["subtitle"] = content.subtitle
    if content.body:
        alert["body"] = content.body
    if alert:
        aps["alert"] = alert
    if options.sound:
        aps["sound"] = apple_sound(options.sound)
    if options.badge is not None:
        aps["badge"] = options.badge
    if options.thread_id:
        aps["thread-id"] = options.thread_id
    add_apple_fields(aps, content, options)
    return aps


def _collapse_id(options: Options) -> bytes | None:
    if not options.collapse_id:
        return None
    value = options.collapse_id.encode()
    if len(value) > MAX_COLLAPSE_ID_BYTES:
        raise Unsendable(
            Reason.INVALID_FIELD,
            f"collapse_id has {len(value)} bytes, APNs takes {MAX_COLLAPSE_ID_BYTES}",
            "collapse_id",
        )
    if value.strip() != value or any(byte < 32 or byte == 127 for byte in value):
        raise Unsendable(
            Reason.INVALID_FIELD,
            "collapse_id is a header: no control characters or space around",
            "collapse_id",
        )
    return value


_VARIANT: Final = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}


def apns_id(delivery_id: bytes, attempt: int) -> str:
    """Canonical lower-case UUID (RFC 9562 version 8) of one attempt: same attempt, same id, in any process.

    Written by hand because `uuid.UUID` costs four times as much, once per push, and knows version 8 from Python 3.14.
    """
    h = blake2b(delivery_id + attempt.to_bytes(4, "big"), digest_size=16).hexdigest()
    return f"{h[:8]}-{h[8:12]}-8{h[13:16]}-{_VARIANT[h[16]]}{h[17:20]}-{h[20:]}"
