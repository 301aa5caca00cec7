"""A message as a service worker gets it: JSON of title and options, the arguments of `showNotification`.

Push API: https://www.w3.org/TR/push-api/; headers: RFC 8030 §5.2 (TTL), §5.3 (Urgency), §5.4 (Topic).
"""

from __future__ import annotations

import hashlib
import re
from base64 import urlsafe_b64encode
from typing import Any, Final, NamedTuple

import orjson

from pushcast.model.batch import Message
from pushcast.model.words import Platform, Reason
from pushcast.providers.extras import (
    OWN_KEY,
    data_of,
    overridden,
    own_object,
    refuse_background_with_something,
    too_large,
)
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
    background_shows_something, and nothing_to_show for a badge or a sound alone and for what only other platforms have
    in `platforms`: browsers have none of it, and a push that shows nothing costs a site its permission.
    """
    options = message.options
    if options.push_type not in PUSH_TYPES:
        raise Unsendable(
            "push_type_unsupported", f"push_type {options.push_type} cannot be sent by Web Push", "push_type"
        )
    refuse_background_with_something(message)
    flat = overridden(_fields(message), message, Platform.WEBPUSH)
    title, shown = flat.pop("title", None), bool(flat.keys() - {"data"})
    if title is None and not flat:
        what = "shows no badge or sound alone" if options.heard else "has nothing to show, and no data"
        raise Unsendable(Reason.NOTHING_TO_SHOW, f"Web Push {what}", "title")
    alerts = title is not None or shown or options.heard
    plaintext = orjson.dumps(({} if title is None else {"title": title}) | ({"options": flat} if flat else {}))
    size = filled_size(plaintext, message)
    if size > MAX_PLAINTEXT_BYTES:
        raise too_large("Web Push payload", size, MAX_PLAINTEXT_BYTES)
    topic = topic_of(options.collapse_id) if options.collapse_id else None
    return Rendered(plaintext, _urgency(options.priority, options.push_type, alerts), topic)


def _fields(message: Message) -> dict[str, Any]:
    """`title` and the members of NotificationOptions, side by side."""
    options, content = message.options, message.content
    text = "\n".join(part for part in (content.subtitle, content.body) if part)
    fields: dict[str, Any] = {name: value for name, value in (("title", content.title), ("body", text)) if value}
    if content.shown:
        fields["tag"] = options.collapse_id or NAME
        if content.image:
            fields["image"] = content.image
        if content.actions:
            fields["actions"] = [{"action": each.id, "title": each.title} for each in content.actions]
        if options.interruption_level == "passive":
            fields["silent"] = True
    data = data_of(message)
    if options.badge is not None and (content.shown or data):
        data = {**data, OWN_KEY: {**own_object(message), "badge": options.badge}}
    if data:
        fields["data"] = data
    return fields


def _urgency(priority: str, push_type: str, alerts: bool) -> bytes:
    if push_type == "background" or not alerts:
        return b"low"
    return b"high" if priority == "high" else b"normal"


def topic_of(collapse_id: str) -> bytes:
    """The collapse id itself where it may be a Topic (at most 32 characters of base64url), else 32 made of it."""
    if _TOPIC.fullmatch(collapse_id):
        return collapse_id.encode()
    return urlsafe_b64encode(hashlib.blake2b(collapse_id.encode(), digest_size=24).digest())
