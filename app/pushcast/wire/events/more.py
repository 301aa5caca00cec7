"""What a message has beyond the columns of its first schema, as one JSON text: absent for nearly all messages.

A sender of an earlier release does not know the schema that holds it: the batch becomes a dead letter
(`unknown_schema`), which can be redriven. It never sends half a message.
"""

from __future__ import annotations

from typing import Any

import msgspec

from pushcast.model.notification import Action, Content, InterruptionLevel, Options, Sound
from pushcast.model.quiet import QuietTerms
from pushcast.model.sealing import Sealing


class More(msgspec.Struct, frozen=True, omit_defaults=True):
    """Fields of content and options; `data` holds what is no string. `replay_of`: of each notification in turn, which
    one it repeats; a release that does not know it leaves that out of receipts."""

    data: dict[str, Any] = {}
    subtitle: str | None = None
    image: str | None = None
    link: str | None = None
    category: str | None = None
    actions: tuple[Action, ...] = ()
    platforms: dict[str, dict[str, Any]] = {}
    sound: Sound | None = None
    interruption_level: InterruptionLevel | None = None
    relevance_score: float | None = None
    mutable_content: bool = False
    channel_id: str | None = None
    analytics_label: str | None = None
    quiet: QuietTerms | None = None
    sealing: Sealing | None = None
    tracked: bool = False
    replay_of: list[str | None] | None = None


_encode = msgspec.json.Encoder(order="deterministic").encode
_decode = msgspec.json.Decoder(More).decode
_OF_OPTIONS = ("interruption_level", "relevance_score", "mutable_content", "channel_id", "analytics_label")
_TEXT = {str}


def more_of(
    content: Content, options: Options, quiet: QuietTerms | None = None, sealing: Sealing | None = None
) -> str | None:
    """What of these the columns have no place for; None: there is nothing, as of nearly all messages."""
    if (  # one by one: every message that is planned is asked, and two attrgetters take twice as long
        quiet is None
        and sealing is None
        and content.subtitle is None
        and content.image is None
        and content.link is None
        and content.category is None
        and not content.actions
        and not content.platforms
        and not content.tracked
        and options.interruption_level is None
        and options.relevance_score is None
        and not options.mutable_content
        and options.channel_id is None
        and options.analytics_label is None
        and not isinstance(options.sound, Sound)
        and is_texts(content.data)
    ):
        return None
    more = More(
        {key: value for key, value in content.data.items() if type(value) is not str},
        content.subtitle,
        content.image,
        content.link,
        content.category,
        content.actions,
        content.platforms,
        options.sound if isinstance(options.sound, Sound) else None,
        options.interruption_level,
        options.relevance_score,
        options.mutable_content,
        options.channel_id,
        options.analytics_label,
        quiet,
        sealing,
        content.tracked,
    )
    return _encode(more).decode()


def with_replays(more: str | None, replay_of: list[str | None] | None) -> str | None:
    """What `more_of` gave, with which notifications are repeated; None: none is."""
    if replay_of is None or not any(replay_of):
        return more
    known = More() if more is None else _decode(more)
    return _encode(msgspec.structs.replace(known, replay_of=replay_of)).decode()


def has_replays(more: str) -> bool:
    """Whether it may say which notifications are repeated. Cheap."""
    return '"replay_of":' in more


def replays_of(more: str) -> list[str | None] | None:
    """Of each notification in turn, which one it repeats. Raises msgspec.MsgspecError for a text that nobody wrote."""
    return _decode(more).replay_of if has_replays(more) else None


def is_texts(data: dict[str, Any]) -> bool:
    """Whether all of it are texts, as nearly all data are."""
    return not data or set(map(type, data.values())) == _TEXT


def texts_only(data: dict[str, Any]) -> dict[str, str]:
    """What the column of `data` holds."""
    return {key: value for key, value in data.items() if type(value) is str}


def joined(content: Content, options: Options, text: str) -> tuple[Content, Options, QuietTerms | None, Sealing | None]:
    """Content and options with what `more_of` gave, quiet hours and privacy.

    Raises msgspec.MsgspecError for a text that it never gave.
    """
    more = _decode(text)
    whole = Content(
        content.title,
        content.body,
        {**content.data, **more.data},
        content.locales,
        more.subtitle,
        more.image,
        more.link,
        more.category,
        more.actions,
        more.platforms,
        more.tracked,
    )
    changes = {name: getattr(more, name) for name in _OF_OPTIONS}
    if more.sound is not None:
        changes["sound"] = more.sound
    return whole, msgspec.structs.replace(options, **changes), more.quiet, more.sealing
