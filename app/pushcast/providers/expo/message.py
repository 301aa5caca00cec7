"""A message as Expo wants it, and the body of a request of many.

https://docs.expo.dev/push-notifications/sending-notifications/#message-request-format
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import orjson

from pushcast.model.batch import Message
from pushcast.model.words import Reason
from pushcast.providers.identity import NAME
from pushcast.providers.unsendable import Unsendable

MAX_PAYLOAD_BYTES: Final = 4096
MAX_RECIPIENTS: Final = 100
# As Expo's own SDK for Node does.
GZIP_ABOVE_BYTES: Final = 1024
PUSH_TYPES: Final = frozenset(("alert", "background"))
_TOKEN: Final = re.compile(
    rb'(Expo(nent)?PushToken\[[^\]"\\\x00-\x20\x7f-\xff]+\]|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})'
)


class Recipient(NamedTuple):
    """One push. `content` is what `render` gave, `expiration` in seconds since the epoch, 0 for a TTL of 0."""

    token: bytes
    content: bytes
    expiration: int


def is_token(address: bytes) -> bool:
    """ExponentPushToken[…], ExpoPushToken[…] or a UUID; what passes needs no escape in JSON."""
    return _TOKEN.fullmatch(address) is not None


def render(message: Message) -> bytes:
    """The message's JSON object without `to` and `expiration`.

    Shown messages carry `collapseId` and `tag` (what replaces what on iOS and Android): the collapse id, or holes for
    each delivery's own (`identity`). What shows nothing wakes the app. Raises Unsendable: payload_too_large,
    push_type_unsupported, background_shows_something.
    """
    options, content = message.options, message.content
    if options.push_type not in PUSH_TYPES:
        raise Unsendable("push_type_unsupported", f"push_type {options.push_type} cannot be sent by Expo", "push_type")
    title, body = content.title, content.body
    shown: dict[str, Any] = {key: text for key, text in (("title", title), ("body", body)) if text}
    heard = bool(options.sound) or options.badge is not None
    background = options.push_type == "background"
    if background and (shown or heard):
        raise Unsendable(
            "background_shows_something", "push_type background takes no title, body, sound or badge", "push_type"
        )
    size = len(orjson.dumps({**shown, "data": content.data}))
    if size > MAX_PAYLOAD_BYTES:
        raise Unsendable(Reason.PAYLOAD_TOO_LARGE, f"Expo payload is {size} bytes, at most {MAX_PAYLOAD_BYTES}")
    fields = dict(shown)
    if content.data:
        fields["data"] = content.data
    background = background or not (shown or heard)
    if options.collapse_id or shown:
        fields["collapseId"] = options.collapse_id or NAME
    if shown:
        fields["tag"] = options.collapse_id or NAME
    if options.thread_id:
        fields["threadId"] = options.thread_id
    if options.sound:
        fields["sound"] = options.sound
    if options.badge is not None:
        fields["badge"] = options.badge
    if background:
        fields["contentAvailable"] = True
    fields["priority"] = "high" if options.priority == "high" and not background else "normal"
    return orjson.dumps(fields)


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
