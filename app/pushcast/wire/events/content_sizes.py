"""What no platform could take, told as one bad event and not as a rejected push for each device. Pure.

What a platform counts is its renderer's to say. Here is what every platform counts at least, and the largest of their
limits: an event that passes may still be too large for one of them.
"""

from __future__ import annotations

from typing import Final

import orjson

from pushcast.model.errors import InvalidInput
from pushcast.model.notification import Content, Notification
from pushcast.model.words import Reason

#: APNs, FCM and Expo take 4,096 bytes, Web Push fewer. Apple, "Generating a remote notification"; Firebase, "About FCM
#: messages"; Expo, "Message request format".
MAX_PAYLOAD_BYTES: Final = 4096
#: APNs takes so much of a call. Broadcasts have a limit of their own (`broadcast_parts`).
MAX_CALL_PAYLOAD_BYTES: Final = 5120


def check_size(note: Notification) -> None:
    """Raises InvalidInput (payload_too_large) that names size and limit."""
    if len(note.content_key) <= MAX_PAYLOAD_BYTES:  # it holds all texts, and nearly all keys are shorter
        return
    if note.content.platforms:  # which may take away what is too large
        return
    limit = MAX_CALL_PAYLOAD_BYTES if note.options.push_type == "voip" else MAX_PAYLOAD_BYTES
    size = least_bytes(note.content)
    if size > limit:
        detail = f"title, body and data are at least {size} bytes for every device; no platform takes more than {limit}"
        raise InvalidInput(Reason.PAYLOAD_TOO_LARGE, detail, "body")


def least_bytes(content: Content) -> int:
    """What the shortest of a content's language variants counts on every platform: texts and data without the quotes
    and braces around them."""
    texts = min(_texts(content.of_variant(variant)) for variant in (None, *content.locales))
    return texts + sum(len(key.encode()) + _length(value) for key, value in content.data.items())


def _texts(content: Content) -> int:
    return len((content.title or "").encode()) + len((content.body or "").encode())


def _length(value: object) -> int:
    return len(value.encode()) if isinstance(value, str) else len(orjson.dumps(value))
