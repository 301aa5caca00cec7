"""Rows of OneSignal's CSV export as device changes. Pure.

https://documentation.onesignal.com/reference/csv-export has the columns. `at` is `last_active`, never now: an import
can never beat a live registration, and importing a file twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson

from pushcast.model.words import Platform
from pushcast.wire.migrate.rows import NOBODYS, FoundDevice, Import, Skipped

#: `device_type` of what Pushcast reaches.
_PLATFORMS: Final = {"0": Platform.APNS, "1": Platform.FCM, "5": Platform.WEBPUSH, "8": Platform.WEBPUSH}


def changes_of(row: Mapping[str, str | None], how: Import) -> Iterator[FoundDevice]:
    """Of one row."""
    yield _change_of(row, how)


def _change_of(row: Mapping[str, str | None], how: Import) -> FoundDevice:
    platform = _PLATFORMS.get(_text(row, "device_type"))
    if platform is None:
        return Skipped.DEVICE_TYPE
    if _text(row, "invalid_identifier").lower() in ("t", "true", "1"):
        return Skipped.INVALID
    if _is_unsubscribed(_text(row, "notification_types")):
        return Skipped.UNSUBSCRIBED
    token = _text(row, "identifier")
    if not token:
        return Skipped.NO_TOKEN
    event: dict[str, Any] = {"op": "register", "app": how.app, "device": _text(row, "id"), "platform": platform.value}
    if platform is Platform.WEBPUSH:
        event["subscription"] = {"endpoint": token, "p256dh": _text(row, "web_p256"), "auth": _text(row, "web_auth")}
    else:
        event["token"] = token
    said = {
        "locale": _text(row, "language"),
        "time_zone": _text(row, "timezone_id"),
        "app_version": _text(row, "game_version"),
        "country": _text(row, "country"),
        "tags": how.names.tags_of(_tags(_text(row, "tags"))),
        "at": _text(row, "last_active").replace(" UTC", "+00:00") or how.at,
    }
    if not said["at"]:
        return Skipped.NO_TIME
    event |= {name: value for name, value in said.items() if value}
    user = _text(row, "external_user_id") or NOBODYS + _text(row, "id")
    return user, event


def _text(row: Mapping[str, str | None], column: str) -> str:
    return (row.get(column) or "").strip()


def _is_unsubscribed(notification_types: str) -> bool:
    try:
        return int(notification_types or 1) <= 0
    except ValueError:
        return False


def _tags(text: str) -> dict[str, object]:
    try:
        tags = orjson.loads(text or b"{}")
    except orjson.JSONDecodeError:
        return {}
    return tags if isinstance(tags, dict) else {}
