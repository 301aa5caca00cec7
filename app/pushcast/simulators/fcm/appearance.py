"""What the user of an Android device sees of a v1 message. Source: Firebase, `AndroidNotification` of the v1 reference.

Its texts and image stand above those of `Notification`. A message without a notification wakes the app, shows nothing.
"""

from __future__ import annotations

from typing import Any, Final

import orjson

from pushcast.simulators.screens import UNSEEN, Look, picked

_SHOWN: Final = {"title": "title", "body": "body", "image": "image"}
_ANDROID: Final = {
    **_SHOWN,
    "channel_id": "channel",
    "click_action": "category",
    "icon": "icon",
    "color": "color",
    "ticker": "ticker",
}
#: In `data.pc`, a JSON text: what our apps read.
_OURS: Final = {"link": "link", "actions": "actions"}


def look_of(request: dict[str, Any]) -> Look:
    """Of a `SendMessageRequest`."""
    message = request.get("message")
    if not isinstance(message, dict):
        return UNSEEN
    android = message.get("android")
    manner = android.get("notification") if isinstance(android, dict) else None
    seen = {**picked(message.get("notification"), _SHOWN), **picked(manner, _ANDROID)}
    manner = manner if isinstance(manner, dict) else {}
    badge = manner.get("notification_count")
    if not seen.keys() & _SHOWN.keys():
        return Look(None, badge=badge)
    return Look({**seen, **picked(_ours(message.get("data")), _OURS)}, manner.get("tag"), manner.get("sound"), badge)


def _ours(data: Any) -> Any:
    try:
        return orjson.loads(data["pc"]) if isinstance(data, dict) and "pc" in data else None
    except orjson.JSONDecodeError:
        return None
