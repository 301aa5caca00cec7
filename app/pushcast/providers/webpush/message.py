"""A message as a service worker gets it: JSON of title, body, data, tag and badge.

Push API: https://www.w3.org/TR/push-api/; headers: RFC 8030 §5.2 (TTL), §5.3 (Urgency), §5.4 (Topic).
"""

from __future__ import annotations

import hashlib
import re
from base64 import urlsafe_b64encode
from typing import Any, Final, NamedTuple

import orjson

from pushcast.model.batch import Message
from pushcast.model.words import Reason
from pushcast.providers.identity import NAME, filled_size
from pushcast.providers.unsendable import Unsendable
from pushcast.providers.webpush.encryption import MAX_PLAINTEXT_BYTES

# The shortest of the services' maxima: FCM keeps four weeks, Mozilla 30 days.
PUSH_TYPES: Final = frozenset(("alert", "background"))
_TOPIC: Final = re.compile(r"[A-Za-z0-9_-]{1,32}")


class Rendered(NamedTuple):
    """`plaintext` has a hole for each delivery's own tag (`identity`). `topic` None: nothing is replaced."""

    plaintext: bytes
    urgency: bytes
    topic: bytes | None


def render(message: Message) -> Rendered:
    """What is equal for all targets.

    `tag` is the collapse id, or the delivery's own, so that one that is sent twice is shown once by a service worker
    that passes it to showNotification. Raises Unsendable: payload_too_large, push_type_unsupported,
    background_shows_something, and nothing_to_show for a badge or a sound alone: browsers have neither, and a push that
    shows nothing costs a site its permission.
    """
    options, content = message.options, message.content
    if options.push_type not in PUSH_TYPES:
        raise Unsendable(
            "push_type_unsupported", f"push_type {options.push_type} cannot be sent by Web Push", "push_type"
        )
    title, body = content.title, content.body
    payload: dict[str, Any] = {key: text for key, text in (("title", title), ("body", body)) if text}
    shown = bool(payload)
    heard = bool(options.sound) or options.badge is not None
    if options.push_type == "background" and (shown or heard):
        raise Unsendable(
            "background_shows_something", "push_type background takes no title, body, sound or badge", "push_type"
        )
    if heard and not shown and not content.data:
        raise Unsendable(Reason.NOTHING_TO_SHOW, "Web Push shows no badge or sound alone", "title")
    if content.data:
        payload["data"] = content.data
    if shown:
        payload["tag"] = options.collapse_id or NAME
    if options.badge is not None:
        payload["badge"] = options.badge
    plaintext = orjson.dumps(payload)
    size = filled_size(plaintext)
    if size > MAX_PLAINTEXT_BYTES:
        raise Unsendable(Reason.PAYLOAD_TOO_LARGE, f"Web Push payload is {size} bytes, at most {MAX_PLAINTEXT_BYTES}")
    topic = topic_of(options.collapse_id) if options.collapse_id else None
    return Rendered(plaintext, _urgency(options.priority, options.push_type, shown or heard), topic)


def _urgency(priority: str, push_type: str, alerts: bool) -> bytes:
    if push_type == "background" or not alerts:
        return b"low"
    return b"high" if priority == "high" else b"normal"


def topic_of(collapse_id: str) -> bytes:
    """The collapse id itself where it may be a Topic (at most 32 characters of base64url), else 32 made of it."""
    if _TOPIC.fullmatch(collapse_id):
        return collapse_id.encode()
    return urlsafe_b64encode(hashlib.blake2b(collapse_id.encode(), digest_size=24).digest())
