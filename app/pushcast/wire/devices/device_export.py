"""A device row as the registration that makes it, for `pushcast device export`. Pure."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from typing import Any, Final

import orjson

from pushcast.model.device import AddressKind, DeviceRow, DeviceState
from pushcast.model.sealing import ContentKey
from pushcast.wire.times import rfc3339

#: In the order of their columns in CSV, where what is no text is JSON.
COLUMNS: Final = (
    *("user", "op", "app", "device", "platform", "token", "fid", "subscription", "address", "key_id"),
    *("locale", "time_zone", "app_version", "country", "region", "purpose", "content_key", "topics", "tags"),
    *("staged", "at"),
)


_JSON: Final = frozenset(("subscription", "content_key", "topics", "tags", "staged"))


def registration_of(
    user: str, row: DeviceRow, address: bytes | None, content_key: ContentKey | None = None
) -> dict[str, Any]:
    """A line for `pushcast device import`. `address` None: it stays sealed, and only the same keyring can read it.
    `content_key`: the row's, opened; None: it has none, or it stays behind with a sealed address.

    Imported where the row is, it changes nothing: `at` is the row's own time.
    """
    said: dict[str, Any] = {"user": user, "op": "register", "app": row.app, "device": row.device}
    said["platform"] = row.platform
    if address is None:
        said |= {"address": b64encode(row.address).decode(), "key_id": row.key_id}
    elif row.kind == AddressKind.SUBSCRIPTION:
        said["subscription"] = orjson.loads(address)
    else:
        said[row.kind] = address.decode()
    optional = {
        "locale": row.locale,
        "time_zone": row.time_zone,
        "app_version": row.app_version,
        "country": row.country,
        "region": row.region,
        "purpose": row.purpose,
    }
    said |= {name: value for name, value in optional.items() if value is not None}
    if row.state == DeviceState.STAGED:
        said["staged"] = True
    if content_key is not None:
        key = b64encode(content_key.key).decode()
        said["content_key"] = {"id": content_key.id, "alg": str(content_key.cipher), "key": key}
    return {**said, "topics": list(row.topics), "tags": row.tags, "at": rfc3339(row.registered_at)}


def as_csv(line: dict[str, Any]) -> dict[str, str]:
    """The same as texts."""
    return {name: value if isinstance(value, str) else orjson.dumps(value).decode() for name, value in line.items()}


def from_csv(row: Mapping[str, str | None]) -> dict[str, Any]:
    """A line of `as_csv` as it was. An empty cell says nothing; one that is no JSON where JSON stands is left as text,
    which the decoder refuses by name."""
    return {name: _value(name, text) for name, text in row.items() if text}


def _value(name: str, text: str) -> Any:
    if name not in _JSON:
        return text
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
