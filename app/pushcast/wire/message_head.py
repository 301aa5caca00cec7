"""The part of a message that its targets share, encoded: app, class, content, options."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from hashlib import blake2b
from itertools import product
from typing import get_args

from pushcast.model.notification import (
    Content,
    LiveActivity,
    LocalText,
    Notification,
    Options,
    Priority,
    PushType,
    Sound,
)
from pushcast.wire.avro_bytes import (
    END,
    FALSE,
    NULL,
    SECOND,
    TRUE,
    bytes_of,
    long_of,
    optional_long_of,
    optional_of,
)
from pushcast.wire.live_activities import text_of
from pushcast.wire.more import more_of, texts_only
from pushcast.wire.more import text_of as more_text_of

CONTENT_HASH_BYTES = 16
_HASH_SIZE = long_of(CONTENT_HASH_BYTES)
_DOUBLE = struct.Struct("<d").pack
FLAGS = (FALSE, TRUE)
#: Encoded by (priority, push type, dry run, at most once): what every message has of the options, in a row.
MANNERS = {
    (priority, push_type, dry_run, once): long_of(number) + bytes_of(push_type.encode()) + FLAGS[dry_run] + FLAGS[once]
    for (number, priority), push_type, dry_run, once in product(
        enumerate(get_args(Priority)), get_args(PushType), (False, True), (False, True)
    )
}


def message_head(app: str, klass: str, content: Content, options: Options, content_hash: bytes) -> bytes:
    """The part of a message that its targets share."""
    data, locales = texts_only(content.data), content.locales
    return b"".join(
        (
            bytes_of(app.encode()),
            bytes_of(klass.encode()),
            optional_of(content.title),
            optional_of(content.body),
            _texts(data) if data else END,
            _local_texts(locales) if locales else END,
            DEFAULT_OPTIONS if options == _DEFAULTS else _options(options),
            _HASH_SIZE,
            content_hash,
        )
    )


def head_of(note: Notification, app: str, variant: str | None) -> tuple[bytes, str | None]:
    """`message_head` of a notification's text for one locale, and what has no place in it (`wire.more`)."""
    content = note.content.of_variant(variant) if note.content.locales else note.content
    hashed = note.content_key if variant is None else note.content_key + b"\0" + variant.encode()
    content_hash = blake2b(hashed, digest_size=CONTENT_HASH_BYTES).digest()
    more = more_text_of(more_of(content, note.options, note.quiet, note.sealing))
    return message_head(app, note.klass, content, note.options, content_hash), more


def _texts(texts: Mapping[str, str]) -> bytes:
    parts = [long_of(len(texts))]
    for key, value in texts.items():
        parts += bytes_of(key.encode()), bytes_of(value.encode())
    parts.append(END)
    return b"".join(parts)


def _local_texts(texts: Mapping[str, LocalText]) -> bytes:
    parts = [long_of(len(texts))]
    for key, text in texts.items():
        parts += bytes_of(key.encode()), optional_of(text.title), optional_of(text.body)
    parts.append(END)
    return b"".join(parts)


def _options(options: Options) -> bytes:
    return b"".join(
        (
            optional_of(options.collapse_id),
            optional_of(options.thread_id),
            optional_of(None if isinstance(options.sound, Sound) else options.sound),
            optional_long_of(options.number),
            MANNERS[options.priority, options.push_type, options.dry_run, options.at_most_once],
            NULL if options.live_activity is None else SECOND + _live_activity(options.live_activity),
        )
    )


def _live_activity(activity: LiveActivity) -> bytes:
    score = activity.relevance_score
    return b"".join(
        (
            bytes_of(activity.event.encode()),
            optional_of(text_of(activity.content_state)),
            *(
                optional_long_of(None if at is None else int(at))
                for at in (activity.timestamp, activity.stale_at, activity.dismissal_at)
            ),
            NULL if score is None else SECOND + _DOUBLE(score),
            optional_of(activity.attributes_type),
            optional_of(text_of(activity.attributes)),
            TRUE if activity.input_push_token else FALSE,
            optional_of(activity.input_push_channel),
        )
    )


_DEFAULTS = Options()
#: What most messages have.
DEFAULT_OPTIONS = _options(_DEFAULTS)
