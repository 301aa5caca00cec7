"""A message as Expo wants it, and the body of a request of many.

https://docs.expo.dev/push-notifications/sending-notifications/#message-request-format
"""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import orjson

from pushcast.model.batch import Message
from pushcast.model.device import EXPO_TOKEN
from pushcast.model.words import Platform
from pushcast.providers.apple import apple_sound
from pushcast.providers.extras import data_of, overridden, refuse_background_with_something, too_large
from pushcast.providers.identity import NAME, filled_size
from pushcast.providers.unsendable import Unsendable

MAX_PAYLOAD_BYTES: Final = 4096
MAX_RECIPIENTS: Final = 100
# As Expo's own SDK for Node does.
GZIP_ABOVE_BYTES: Final = 1024
PUSH_TYPES: Final = frozenset(("alert", "background"))
#: And what the producer's own part has: Expo does not say what it leaves out.
_COUNTED: Final = ("title", "subtitle", "body", "data")
_ALERTING: Final = ("title", "subtitle", "body", "sound", "badge")


class Recipient(NamedTuple):
    """One push. `content` is what `render` gave, `expiration` in seconds since the epoch, 0 for a TTL of 0."""

    token: bytes
    content: bytes
    expiration: int


def is_token(address: bytes) -> bool:
    """ExponentPushToken[…], ExpoPushToken[…] or a UUID; what passes needs no escape in JSON."""
    return EXPO_TOKEN.fullmatch(address) is not None


def render(message: Message) -> bytes:
    """The message's JSON object without `to` and `expiration`.

    Shown messages carry `tag` (what replaces what on Android): the collapse id, or a hole for each delivery's own
    (`identity`). `collapseId`, which is for iOS too, is only ever the producer's (docs/decisions/0018). What shows
    nothing wakes the app. Raises Unsendable: payload_too_large, push_type_unsupported, background_shows_something.
    """
    options, content = message.options, message.content
    if options.push_type not in PUSH_TYPES:
        raise Unsendable("push_type_unsupported", f"push_type {options.push_type} cannot be sent by Expo", "push_type")
    refuse_background_with_something(message)
    fields = overridden(_fields(message), message, Platform.EXPO)
    counted = (*_COUNTED, *(content.platforms.get(Platform.EXPO) or ())) if content.platforms else _COUNTED
    size = filled_size(orjson.dumps({name: fields[name] for name in counted if name in fields}), message)
    if size > MAX_PAYLOAD_BYTES:
        raise too_large("Expo payload", size, MAX_PAYLOAD_BYTES)
    alert = any(fields.get(name) is not None for name in _ALERTING)
    if not alert:
        fields.setdefault("_contentAvailable" if "_contentAvailable" in fields else "contentAvailable", True)
    fields.setdefault("priority", "high" if options.priority == "high" and alert else "normal")
    return orjson.dumps(fields)


def _fields(message: Message) -> dict[str, Any]:
    """Expo's message before what its kind decides."""
    options, content = message.options, message.content
    texts = (("title", content.title), ("subtitle", content.subtitle), ("body", content.body))
    fields: dict[str, Any] = {key: text for key, text in texts if text}
    data = data_of(message)
    if data:
        fields["data"] = data
    if options.collapse_id:  # not the delivery's own: Expo makes it FCM's collapse_key, of which Android keeps four
        fields["collapseId"] = options.collapse_id
    if content.shown:
        fields["tag"] = options.collapse_id or NAME
    if options.sound:
        sound = apple_sound(options.sound)
        fields["sound"] = sound if isinstance(sound, str) else {**sound, "critical": True}
    if options.badge is not None:
        fields["badge"] = options.badge
    others = (
        ("threadId", options.thread_id),
        ("categoryId", content.category),
        ("channelId", options.channel_id),
        ("interruptionLevel", options.interruption_level),
        ("relevanceScore", options.relevance_score),
        ("mutableContent", options.mutable_content or bool(content.image) or None),
        ("richContent", {"image": content.image} if content.image else None),
    )
    return fields | {name: value for name, value in others if value is not None and value != ""}


def request_body(recipients: Sequence[Recipient]) -> bytes:
    """JSON of one request; its tickets come in the order of `recipients`. Neighbours with equal content and expiry
    share one message."""
    messages: list[bytes] = []
    start = 0
    for end in range(1, len(recipients) + 1):
        first = recipients[start]
        if end < len(recipients) and recipients[end][1:] == first[1:]:
            continue
        tokens = b'","'.join(recipient.token for recipient in recipients[start:end])
        time = b'"expiration":%d' % first.expiration if first.expiration else b'"ttl":0'
        messages.append(b'{"to":["%b"],%b,%b' % (tokens, time, first.content[1:]))
        start = end
    return b"[" + b",".join(messages) + b"]"


def encoded(body: bytes) -> tuple[bytes, dict[str, str]]:
    """The body as it goes on the wire, and the headers that say so."""
    headers = {"content-type": "application/json", "accept": "application/json"}
    if len(body) <= GZIP_ABOVE_BYTES:
        return body, headers
    return gzip.compress(body, compresslevel=3, mtime=0), {**headers, "content-encoding": "gzip"}
