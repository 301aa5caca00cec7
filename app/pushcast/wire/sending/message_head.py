"""The part of a message that its targets share, encoded: app, class, content, options."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from functools import lru_cache
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
from pushcast.wire.events.live_activities import text_of
from pushcast.wire.events.more import more_of, texts_only

CONTENT_HASH_BYTES = 16
_HASH_SIZE = long_of(CONTENT_HASH_BYTES)
_NO_SOUND_NOR_BADGE = NULL * 2
_DOUBLE = struct.Struct("<d").pack
FLAGS = (FALSE, TRUE)
#: Encoded by (priority, push type, dry run, at most once): what every message has of the options, in a row.
MANNERS = {
    (priority, push_type, dry_run, once): long_of(number) + bytes_of(push_type.encode()) + FLAGS[dry_run] + FLAGS[once]
    for (number, priority), push_type, dry_run, once in product(
        enumerate(get_args(Priority)), get_args(PushType), (False, True), (False, True)
    )
}


def message_head(
    app: str, klass: str, content: Content, options: Options, content_hash: bytes, *, more: str | None
) -> bytes:
    """The part of a message that its targets share. `more`: as `more_of` says; without any, all data are texts."""
    data, locales = content.data if more is None else texts_only(content.data), content.locales
    title, body = content.title, content.body
    return b"".join(
        (
            *app_and_class(app, klass),
            NULL if title is None else SECOND + bytes_of(title.encode()),
            NULL if body is None else SECOND + bytes_of(body.encode()),
            _texts(data) if data else END,
            _local_texts(locales) if locales else END,
            DEFAULT_OPTIONS if options == _DEFAULTS else _options(options),
            _HASH_SIZE,
            content_hash,
        )
    )


@lru_cache(maxsize=4096)
def app_and_class(app: str, klass: str) -> tuple[bytes, bytes]:
    """Both as texts; there are few pairs."""
    return bytes_of(app.encode()), bytes_of(klass.encode())


def head_of(note: Notification, app: str, variant: str | None) -> tuple[bytes, str | None]:
    """`message_head` of a notification's text for one locale, and what has no place in it (`wire.events.more`)."""
    content = note.content.of_variant(variant) if note.content.locales else note.content
    hashed = note.content_key if variant is None else note.content_key + b"\0" + variant.encode()
    content_hash = blake2b(hashed, digest_size=CONTENT_HASH_BYTES).digest()
    more = more_of(content, note.options, note.quiet, note.sealing)
    return message_head(app, note.klass, content, note.options, content_hash, more=more), more


def _texts(texts: Mapping[str, str]) -> bytes:
    found = long_of(len(texts))
    for key, value in texts.items():
        found += bytes_of(key.encode()) + bytes_of(value.encode())
    return found + END


def _local_texts(texts: Mapping[str, LocalText]) -> bytes:
    parts = [long_of(len(texts))]
    for key, text in texts.items():
        parts += bytes_of(key.encode()), optional_of(text.title), optional_of(text.body)
    parts.append(END)
    return b"".join(parts)


def _options(options: Options) -> bytes:
    collapse_id, thread_id, sound, badge = options.collapse_id, options.thread_id, options.sound, options.badge
    if collapse_id is None and sound is None and badge is None and options.live_activity is None:  # as of most chats
        manner = MANNERS[options.priority, options.push_type, options.dry_run, options.at_most_once]
        return NULL + optional_of(thread_id) + _NO_SOUND_NOR_BADGE + manner + NULL
    return b"".join(
        (
            NULL if collapse_id is None else optional_of(collapse_id),
            NULL if thread_id is None else optional_of(thread_id),
            NULL if sound is None or isinstance(sound, Sound) else optional_of(sound),
            NULL if badge is None else optional_long_of(options.number),
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
