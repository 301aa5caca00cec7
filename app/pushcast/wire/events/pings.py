"""What a provider may see of a private notification: with `privacy: ping` that there is something, and not what. Pure.

The app fetches the rest by the id. So nothing of the content, and nothing of the options that says what it is about, is
in the message that planners hand to senders.
"""

from __future__ import annotations

import msgspec

from pushcast.model.errors import InvalidInput
from pushcast.model.notification import Content, Options
from pushcast.model.words import Reason


def refuse_unpingable(klass: str, options: Options) -> None:
    """Raises InvalidInput (invalid_field) for what cannot be sent without its content."""
    if options.live_activity is not None:
        raise InvalidInput(
            Reason.INVALID_FIELD,
            f"a Live Activity is its content, and class {klass} keeps contents from providers",
            "options.live_activity",
        )


def ping_options(klass: str, options: Options, shown: bool) -> Options:
    """How to send it: as soon and as loudly as was asked for. `shown`: it has a text, a badge or a sound.

    The collapse id is the class, so that a device shows one of them; a sound is the device's own.
    """
    return Options(
        collapse_id=klass if shown else None,
        sound="default" if options.sound else None,
        priority=options.priority,
        push_type=options.push_type,
        dry_run=options.dry_run,
        at_most_once=options.at_most_once,
        interruption_level=options.interruption_level,
        mutable_content=shown,
        channel_id=options.channel_id,
    )


def sealed_options(klass: str, options: Options, shown: bool) -> Options:
    """Of a push whose content is sealed: those of a ping, but that each replaces nothing but itself."""
    return msgspec.structs.replace(ping_options(klass, options, shown), collapse_id=None)


def ping_content(note_id: str, klass: str, title: str, shown: bool) -> Content:
    """The class's generic title, and what the app asks for the rest by."""
    return Content(title if shown else None, None, {"id": note_id, "class": klass})


def ping_key(note_id: str, klass: str, options: Options, title: str, shown: bool) -> bytes:
    """Equal exactly for what may share a message: it begins as no key of a content does."""
    return b"ping\0" + _PACK((note_id, klass, title, shown, options))


_PACK = msgspec.msgpack.Encoder(order="deterministic").encode
