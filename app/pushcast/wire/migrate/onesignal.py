"""Rows of OneSignal's CSV export as device changes. Pure.

https://documentation.onesignal.com/reference/csv-export has the columns. `at` is `last_active`, never now: an import
can never beat a live registration, and importing a file twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import orjson

from pushcast.model.words import Platform
from pushcast.wire.migrate.rows import FoundDevice, Import, Skipped, registration, text_of

#: What every export has.
COLUMNS: Final = ("id", "identifier", "device_type")
#: `device_type` of what Pushcast reaches.
_PLATFORMS: Final = {"0": Platform.APNS, "1": Platform.FCM, "5": Platform.WEBPUSH, "8": Platform.WEBPUSH}


def changes_of(row: Mapping[str, str | None], how: Import) -> Iterator[FoundDevice]:
    """Of one row."""
    yield _change_of(row, how)


def _change_of(row: Mapping[str, str | None], how: Import) -> FoundDevice:
    platform = _PLATFORMS.get(text_of(row, "device_type"))
    if platform is None:
        return Skipped.DEVICE_TYPE
    if text_of(row, "invalid_identifier").lower() in ("t", "true", "1"):
        return Skipped.INVALID
    if _is_unsubscribed(text_of(row, "notification_types")):
        return Skipped.UNSUBSCRIBED
    token = text_of(row, "identifier")
    if not token:
        return Skipped.NO_TOKEN
    address: str | dict[str, str] = token
    if platform is Platform.WEBPUSH:
        address = {"endpoint": token, "p256dh": text_of(row, "web_p256"), "auth": text_of(row, "web_auth")}
    said = {
        "locale": text_of(row, "language"),
        "time_zone": text_of(row, "timezone_id"),
        "app_version": text_of(row, "game_version"),
        "country": text_of(row, "country"),
        "tags": how.names.tags_of(_tags(text_of(row, "tags"))),
        "at": text_of(row, "last_active").replace(" UTC", "+00:00"),
    }
    return registration(how, text_of(row, "external_user_id"), text_of(row, "id"), platform.value, address, said)


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
