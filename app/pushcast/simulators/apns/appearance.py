"""What a user sees of a payload. Source: Apple, "Generating a remote notification"; `pc` is what our apps read."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import orjson

_TEXTS: Final = ("title", "subtitle", "body")
#: In `aps`, and the name on the screen.
_MANNERS: Final = (
    ("category", "category"),
    ("thread-id", "thread"),
    ("interruption-level", "interruption_level"),
    ("relevance-score", "relevance_score"),
)
#: In `pc`: an extension of the app shows it where `mutable-content` lets it run.
_OURS: Final = ("image", "link", "actions")


class Appearance(NamedTuple):
    """`notification` None: nothing comes to the list. `badge` None: the app's icon keeps its own."""

    notification: dict[str, Any] | None
    sound: str | dict[str, Any] | None
    badge: int | None


def appearance(body: bytes) -> Appearance:
    """Of a payload that passed validation; of one that is no object (checks are off) there is nothing to see."""
    try:
        payload = orjson.loads(body)
    except orjson.JSONDecodeError:
        payload = None
    aps = payload.get("aps") if isinstance(payload, dict) else None
    if not isinstance(aps, dict):
        return Appearance(None, None, None)
    alert = aps.get("alert")
    texts = {"body": alert} if isinstance(alert, str) else alert if isinstance(alert, dict) else {}
    notification = {name: texts[name] for name in _TEXTS if texts.get(name)}
    if notification:
        notification |= {name: aps[key] for key, name in _MANNERS if key in aps}
        own = payload.get("pc")
        if isinstance(own, dict):
            notification |= {name: own[name] for name in _OURS if name in own}
            if not aps.get("mutable-content"):
                notification.pop("image", None)
    return Appearance(notification or None, aps.get("sound"), aps.get("badge"))
