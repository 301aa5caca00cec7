"""What the user of a browser sees when a service worker hands `title` and `options` of a payload to
`showNotification`. Source: Notifications API; our payload is docs/providers.md's.
"""

from __future__ import annotations

from typing import Any, Final

from pushcast.simulators.screens import UNSEEN, Look, picked

_OPTIONS: Final = {"body": "body", "image": "image", "icon": "icon", "actions": "actions"}
#: In `options.data.pc`: what our service worker reads. Only an installed app has a badge.
_OURS: Final = {"link": "link"}


def look_of(payload: dict[str, Any]) -> Look:
    """Of a decrypted payload. One without title and text is data for the page: nothing is shown, and a removal closes
    what has its tag."""
    options = payload.get("options")
    if not isinstance(options, dict):
        options = {}
    data = options.get("data")
    ours = data.get("pc") if isinstance(data, dict) else None
    seen = picked(payload, {"title": "title"}) | picked(options, _OPTIONS)
    badge = ours.get("badge") if isinstance(ours, dict) else None
    if not seen.keys() & {"title", "body"}:
        is_removal = isinstance(data, dict) and data.get("event") == "remove"
        return UNSEEN._replace(badge=badge, closes=options.get("tag") if is_removal else None)
    return Look(seen | picked(ours, _OURS), options.get("tag"), None, badge)
