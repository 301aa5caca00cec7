"""Airship's channels, as `GET /api/channels` lists them, as device changes. Pure.

https://docs.airship.com/api/ua/#operation-api-channels-get has the object. Tags of named users come from another
endpoint; those here are the device's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from pushcast.model.words import Platform
from pushcast.wire.migrate.rows import FoundDevice, Import, Row, Skipped, registration, text_of

#: What a page of a listing has its rows in.
PAGE: Final = "channels"
_PLATFORMS: Final = {"ios": Platform.APNS, "android": Platform.FCM}


def changes_of(row: Row, how: Import) -> Iterator[FoundDevice]:
    """Of one channel."""
    platform = _PLATFORMS.get(text_of(row, "device_type"))
    if platform is None:
        yield Skipped.DEVICE_TYPE
    elif row.get("installed") is False:
        yield Skipped.INVALID
    elif row.get("opt_in") is False:
        yield Skipped.UNSUBSCRIBED
    elif not text_of(row, "push_address"):
        yield Skipped.NO_TOKEN
    else:
        device, named = text_of(row, "channel_id"), text_of(row, "named_user_id") or None
        yield registration(how, named, device, platform.value, text_of(row, "push_address"), _said(row, how))


def _said(row: Row, how: Import) -> dict[str, Any]:
    found = row.get("device_attributes")
    about: Row = found if isinstance(found, dict) else {}
    tags = row.get("tags")
    language, country = text_of(about, "ua_language"), text_of(about, "ua_country")
    return {
        "locale": f"{language}-{country}" if language and country else language,
        "country": country,
        "time_zone": text_of(about, "ua_local_tz"),
        "app_version": text_of(about, "ua_app_version"),
        "topics": how.names.topics_of(tags) if isinstance(tags, list) else [],
        "at": _utc(text_of(row, "last_registration") or text_of(row, "created")),
    }


def _utc(time: str) -> str:
    """Airship's times are UTC and do not say so."""
    return time + "Z" if time and time[-1:].isdigit() and "+" not in time else time
