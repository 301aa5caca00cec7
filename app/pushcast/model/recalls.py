"""Which devices get a removal, what push services are to delete, and what it replaces: parts of its content that no
device needs."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

from pushcast.model.words import Platform

#: In the data of removals and of what they take back: when it was made, in milliseconds since the epoch.
SEQ: Final = "seq"
_KEY: Final = "recall"
_ONLY: Final = "only"
_SEPARATOR: Final = ":"


class RemovalScope(StrEnum):
    """Which devices get a removal; its id says so. Apple lets few background pushes through, and nobody else does."""

    ALL = ""
    APPLE = "apple"
    OTHERS = "others"

    def covers(self, other: RemovalScope) -> bool:
        """Whether all that the other one reaches gets this one."""
        return self in (RemovalScope.ALL, other)

    def reaches(self, platform: str) -> bool:
        """Whether devices of a platform get it. Of Expo's nobody knows whose they are: they count as Apple's."""
        is_apple = platform in (Platform.APNS, Platform.EXPO)
        return self is RemovalScope.ALL or (self is RemovalScope.APPLE) == is_apple


def scoped_id(prefix: str, scope: RemovalScope, name: str) -> str:
    """Id of a removal for these devices."""
    return _SEPARATOR.join([prefix, *([scope.value] if scope.value else []), name])


def scope_of(note_id: str) -> RemovalScope:
    """Which devices get the removal of this id."""
    parts = note_id.split(_SEPARATOR)
    known = [scope for scope in (RemovalScope.APPLE, RemovalScope.OTHERS) if len(parts) == 3 and parts[1] == scope]
    return known[0] if known else RemovalScope.ALL


def recalling(pushes: list[dict[str, str]], only: frozenset[bytes] | None = None) -> dict[str, Any]:
    """`platforms` of a removal that asks for these, each `{device, message, tag}` without what it has not; nothing for
    none. `only`: which devices get it, by `ids.device_name`; None: all."""
    said: dict[str, Any] = {_KEY: pushes} if pushes else {}
    if only is not None:
        said[_ONLY] = sorted(name.hex() for name in only)
    return {"platforms": {str(Platform.WEBPUSH): said}} if said else {}


def only_of(platforms: Mapping[str, Mapping[str, Any]]) -> frozenset[bytes] | None:
    """The devices that `recalling` was given."""
    names = platforms.get(str(Platform.WEBPUSH), {}).get(_ONLY)
    return None if names is None else frozenset(map(bytes.fromhex, names))


def shows(platform: str, name: bytes, only: frozenset[bytes] | None) -> bool:
    """Whether a device may show what is taken back. Of Expo's nobody is told whether they do."""
    return only is None or name in only or platform == Platform.EXPO


def recalled_of(platforms: Mapping[str, Mapping[str, Any]]) -> list[dict[str, str]]:
    """What `recalling` was given."""
    found: list[dict[str, str]] = platforms.get(str(Platform.WEBPUSH), {}).get(_KEY, [])
    return found


def messages_of(platforms: Mapping[str, Mapping[str, Any]], device: str, *, replacing: bool = False) -> list[str]:
    """Names of the messages that a device has not got yet, as far as anybody knows. `replacing`: without those that the
    removal replaces."""
    mine = [each for each in recalled_of(platforms) if each["device"] == device and each.get("message")]
    return [each["message"] for each in mine if not (replacing and each.get("tag"))]


def tags_of(platforms: Mapping[str, Mapping[str, Any]], device: str) -> list[str]:
    """What a browser knows the pushes by that the removal replaces there, each once."""
    mine = [each for each in recalled_of(platforms) if each["device"] == device and each.get("tag")]
    return list(dict.fromkeys(each["tag"] for each in mine))
