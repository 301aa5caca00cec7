"""Parse's installations as device changes, as its REST API and as MongoDB have them. Pure.

https://docs.parseplatform.org/rest/guide/#installations has the fields. MongoDB has `_p_user` and `_updated_at` where
the API has `user` and `updatedAt`. Several installations may have one token: the newest keeps it, as everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from pushcast.model.words import Platform
from pushcast.wire.migrate.mongo import plain
from pushcast.wire.migrate.rows import FoundDevice, Import, Row, Skipped, registration, text_of

#: What an answer of the API, or an export of a class, has its rows in.
PAGE: Final = "results"
_PLATFORMS: Final = {"ios": Platform.APNS, "android": Platform.FCM, "expo": Platform.EXPO}
_POINTER: Final = "_User$"


def changes_of(row: Row, how: Import) -> Iterator[FoundDevice]:
    """Of one installation."""
    row = plain(row)
    platform = _PLATFORMS.get(text_of(row, "deviceType"))
    device = text_of(row, "installationId") or text_of(row, "objectId") or text_of(row, "_id")
    if not device:
        yield Skipped.UNREADABLE
    elif platform is None:
        yield Skipped.DEVICE_TYPE
    elif not text_of(row, "deviceToken"):
        yield Skipped.NO_TOKEN
    else:
        yield registration(how, _user(row), device, platform.value, text_of(row, "deviceToken"), _said(row, how))


def _user(row: Row) -> str | None:
    pointer = row.get("user")
    if isinstance(pointer, dict):
        return text_of(pointer, "objectId") or None
    return text_of(row, "_p_user").removeprefix(_POINTER) or None


def _said(row: Row, how: Import) -> dict[str, Any]:
    channels = row.get("channels")
    return {
        "locale": text_of(row, "localeIdentifier"),
        "time_zone": text_of(row, "timeZone"),
        "app_version": text_of(row, "appVersion"),
        "topics": how.names.topics_of(channels) if isinstance(channels, list) else [],
        "at": _time(row.get("updatedAt") or row.get("_updated_at")),
    }


def _time(value: object) -> str:
    """RFC 3339, or `{"__type": "Date", "iso": …}`."""
    if isinstance(value, dict):
        value = value.get("iso")
    return value if isinstance(value, str) else ""
