"""What renderers of all platforms make of a notification's fields in the same way."""

from __future__ import annotations

from typing import Any, Final

import orjson

from pushcast.model.batch import Message
from pushcast.model.notification import Content
from pushcast.model.overrides import merged
from pushcast.model.words import Platform, Reason
from pushcast.providers.identity import notification_id
from pushcast.providers.unsendable import Unsendable

#: Key of the object that tells an app what no field of its platform does.
OWN_KEY: Final = "pc"


def has_own_object(content: Content) -> bool:
    """Whether a message of this content tells its app more than the fields of its platform do."""
    return bool(content.tracked or content.image or content.link or content.actions)


def own_object(message: Message) -> dict[str, Any]:
    """The notification's id, image, link and actions, for apps (and their extensions) that show or report them."""
    content = message.content
    own: dict[str, Any] = {"id": notification_id(message)}
    if content.image:
        own["image"] = content.image
    if content.link:
        own["link"] = content.link
    if content.actions:
        own["actions"] = [
            {"id": each.id, "title": each.title} | ({} if each.link is None else {"link": each.link})
            for each in content.actions
        ]
    return own


def data_of(message: Message) -> dict[str, Any]:
    """The producer's data, and ours in its own key."""
    content = message.content
    return {**content.data, OWN_KEY: own_object(message)} if has_own_object(content) else content.data


def overridden(fields: dict[str, Any], message: Message, platform: Platform) -> dict[str, Any]:
    """The platform's message with the producer's own part merged into it. Fields are ours to change afterwards."""
    platforms = message.content.platforms
    if not platforms:  # as nearly always: the hash of an enum's member costs more than all the rest
        return fields
    patch = platforms.get(platform)
    return merged(fields, patch) if patch else fields


def refuse_background_with_something(message: Message) -> None:
    """Raises Unsendable (background_shows_something)."""
    if message.options.push_type == "background" and (message.content.shown or message.options.heard):
        raise Unsendable(
            "background_shows_something", "push_type background takes no title, body, sound or badge", "push_type"
        )


def too_large(what: str, size: int, limit: int) -> Unsendable:
    """The refusal that names size and limit."""
    return Unsendable(Reason.PAYLOAD_TOO_LARGE, f"{what} is {size} bytes, at most {limit}", "body")


def json_text(value: Any) -> str:
    """A value of `data` for platforms that take texts only: itself, or its JSON."""
    return value if isinstance(value, str) else orjson.dumps(value).decode()
