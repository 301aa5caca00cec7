"""`platforms` of a notification: what a producer adds to one platform's message, by RFC 7396 (JSON Merge Patch).

Objects merge, arrays and scalars replace, null removes. What Pushcast owns (address, authentication, expiry, what
replaces what) cannot be touched.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from pushcast.model.words import Platform

#: Keys by platform, as paths. Nothing may be put there, and what holds one may not be removed or replaced as a whole.
OWNED: Final[Mapping[str, frozenset[str]]] = {
    Platform.APNS: frozenset(("pc",)),
    Platform.FCM: frozenset(
        (
            *("name", "token", "fid", "topic", "condition", "data.pc", "android.ttl", "android.collapse_key"),
            *("apns.headers.authorization", "apns.headers.apns-id", "apns.headers.apns-expiration"),
            *("apns.headers.apns-topic", "apns.headers.apns-collapse-id", "apns.live_activity_token"),
            *("webpush.headers.TTL", "webpush.headers.Topic", "webpush.headers.Authorization"),
        )
    ),
    Platform.EXPO: frozenset(("to", "ttl", "expiration", "collapseId", "tag", "data.pc")),
    Platform.WEBPUSH: frozenset(("tag", "data.pc")),
}


def owned_key(platform: str, patch: Mapping[str, Any]) -> str | None:
    """The first key of a patch that Pushcast owns, as a path; None: there is none. Case does not matter, and
    FCM takes collapse_key as collapseKey, too."""
    owned = {spelling for path in OWNED[platform] for spelling in (path.lower(), path.lower().replace("_", ""))}
    parents = {path[: path.index(".", start)] for path in owned for start in _dots(path)}
    waiting: list[tuple[str, Any]] = list(patch.items())
    while waiting:
        path, value = waiting.pop()
        if path.lower() in owned:
            return path
        if isinstance(value, dict):
            waiting += [(f"{path}.{key}", below) for key, below in value.items()]
        elif path.lower() in parents and not (value is None and path == "data"):
            return path
    return None


def _dots(path: str) -> Iterator[int]:
    return (index for index, char in enumerate(path) if char == ".")


def merged(target: dict[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """A new object: the target with the patch merged into it (RFC 7396, section 2)."""
    result = dict(target)
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict):
            below = result.get(key)
            result[key] = merged(below if isinstance(below, dict) else {}, value)
        else:
            result[key] = value
    return result
