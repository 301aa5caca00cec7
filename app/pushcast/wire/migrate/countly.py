"""Countly's tokens, from its `push_<app id>` collection, as device changes. Pure.

`plugins/push/api/constants/platform-keymap.ts` of Countly/countly-server has the keys of `tk`: platform and
environment. What else Countly knows of a device stands in `app_users<app id>`; a row may have those fields, too.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

from pushcast.model.words import Platform
from pushcast.wire.migrate.mongo import plain
from pushcast.wire.migrate.rows import FoundDevice, Import, Row, Skipped, registration, text_of

_PLATFORMS: Final = {"ip": Platform.APNS, "ia": Platform.APNS, "ap": Platform.FCM}
_SANDBOX: Final = "id"


def changes_of(row: Row, how: Import) -> Iterator[FoundDevice]:
    """Of one user, who may have a token for each platform."""
    row = plain(row)
    tokens, uid = row.get("tk"), text_of(row, "_id") or text_of(row, "uid")
    if not isinstance(tokens, dict) or not uid:
        yield Skipped.UNREADABLE
        return
    if not tokens:
        yield Skipped.NO_TOKEN
    for key, token in sorted(tokens.items()):
        platform = _PLATFORMS.get(key)
        if key == _SANDBOX:
            yield Skipped.SANDBOX
        elif platform is None:
            yield Skipped.DEVICE_TYPE
        elif not isinstance(token, str) or not token:
            yield Skipped.NO_TOKEN
        else:
            yield registration(how, text_of(row, "did") or None, f"{uid}-{key}", platform.value, token, _said(row))


def _said(row: Row) -> dict[str, Any]:
    seen = row.get("ls") or row.get("lac")
    known = isinstance(seen, int | float) and not isinstance(seen, bool) and 0 < seen < 10**11
    return {
        "locale": text_of(row, "la"),
        "country": text_of(row, "cc"),
        "app_version": text_of(row, "av").replace(":", "."),  # a name of a field holds no dot in MongoDB
        "at": datetime.fromtimestamp(float(seen), UTC).isoformat() if known and seen is not None else "",
    }
