"""What a notification becomes for devices with quiet hours. Pure."""

from __future__ import annotations

from functools import lru_cache

import msgspec

from pushcast.model.notification import Notification
from pushcast.model.quiet import QuietTerms


def silenced(note: Notification, channel_id: str | None) -> Notification:
    """The notification without sound. `channel_id`: Android's, which alone decides there; None: the event's own."""
    options = msgspec.structs.replace(
        note.options,
        sound=None,
        interruption_level="passive",
        channel_id=channel_id or note.options.channel_id,
    )
    key = note.content_key + b"\0silent\0" + (channel_id or "").encode()
    return msgspec.structs.replace(note, options=options, content_key=key)


def judged_by(note: Notification, terms: QuietTerms | None) -> Notification:
    """The notification for devices whose later tries are judged by these quiet hours."""
    if terms is None:
        return note
    return msgspec.structs.replace(note, quiet=terms, content_key=note.content_key + b"\0quiet\0" + _text_of(terms))


@lru_cache(maxsize=1024)
def _text_of(terms: QuietTerms) -> bytes:
    return msgspec.json.encode(terms)
