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
    """`notification` None: nothing comes to the list. `badge` None: the app's icon keeps its own. `name`: what the app
    knows it by. `removal` None: it takes nothing back. `seq`: when it was made; None: it does not say."""

    notification: dict[str, Any] | None
    sound: str | dict[str, Any] | None
    badge: int | None
    name: str | None = None
    removal: Removal | None = None
    seq: int | None = None


class Removal(NamedTuple):
    """What a removal push asks of the app. `seq`: milliseconds since the epoch."""

    ids: frozenset[str]
    threads: frozenset[str]
    seq: int

    def covers(self, collapse_id: str, look: Appearance) -> bool:
        """Whether the app takes this notification off the screen, or does not show it when it comes after the removal:
        what was made later stays."""
        if look.seq is not None and look.seq > self.seq:
            return False
        thread = (look.notification or {}).get("thread")
        return not self.ids.isdisjoint((look.name, collapse_id)) or (isinstance(thread, str) and thread in self.threads)


UNSEEN: Final = Appearance(None, None, None)


def appearance(body: bytes) -> Appearance:
    """Of a payload that passed validation; of one that is no object (checks are off) there is nothing to see."""
    try:
        payload = orjson.loads(body)
    except orjson.JSONDecodeError:
        payload = None
    aps = payload.get("aps") if isinstance(payload, dict) else None
    if not isinstance(aps, dict):
        return UNSEEN
    alert = aps.get("alert")
    texts = {"body": alert} if isinstance(alert, str) else alert if isinstance(alert, dict) else {}
    notification = {name: texts[name] for name in _TEXTS if texts.get(name)}
    own = payload.get("pc") if isinstance(payload.get("pc"), dict) else {}
    if notification:
        notification |= {name: aps[key] for key, name in _MANNERS if key in aps}
        notification |= {name: own[name] for name in _OURS if name in own}
        if not aps.get("mutable-content"):
            notification.pop("image", None)
    seq = payload["seq"] if isinstance(payload.get("seq"), int) else None
    name = own["id"] if isinstance(own.get("id"), str) else None
    return Appearance(notification or None, aps.get("sound"), aps.get("badge"), name, _removal(payload), seq)


def _removal(payload: dict[str, Any]) -> Removal | None:
    """Of a push with `"event": "remove"` beside `aps`: our apps know what to do with it."""
    ids, threads, seq = payload.get("ids"), payload.get("threads", []), payload.get("seq")
    if payload.get("event") != "remove" or not isinstance(seq, int):
        return None
    if not isinstance(ids, list) or not isinstance(threads, list):
        return None
    return Removal(frozenset(map(str, ids)), frozenset(map(str, threads)), seq)
