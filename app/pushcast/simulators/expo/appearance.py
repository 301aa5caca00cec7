"""What the user of an Expo app sees of a message. Source: Expo, "Message request format"."""

from __future__ import annotations

from typing import Any, Final

from pushcast.simulators.screens import Look, picked

_TEXTS: Final = {"title": "title", "subtitle": "subtitle", "body": "body"}
_MANNERS: Final = {
    "channelId": "channel",
    "categoryId": "category",
    "threadId": "thread",
    "interruptionLevel": "interruption_level",
    "relevanceScore": "relevance_score",
}
#: In `data.pc`: what our apps read.
_OURS: Final = {"link": "link", "actions": "actions"}


def look_of(message: dict[str, Any]) -> Look:
    """Of one message of a request."""
    seen = picked(message, _TEXTS)
    if not seen:
        return Look(None, sound=message.get("sound"), badge=message.get("badge"))
    data = message.get("data")
    seen |= picked(message, _MANNERS) | picked(message.get("richContent"), {"image": "image"})
    seen |= picked(data.get("pc") if isinstance(data, dict) else None, _OURS)
    return Look(seen, message.get("tag"), message.get("sound"), message.get("badge"))
