"""What a removal asks of push services that delete undelivered messages: a part of its content that is theirs alone."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

from pushcast.model.words import Platform

_KEY: Final = "recall"
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


def recalling(pushes: list[dict[str, str]]) -> dict[str, Any]:
    """`platforms` of a removal that asks for these, each `{device, message}`; nothing for none."""
    return {"platforms": {str(Platform.WEBPUSH): {_KEY: pushes}}} if pushes else {}


def recalled_of(platforms: Mapping[str, Mapping[str, Any]]) -> list[dict[str, str]]:
    """What `recalling` was given."""
    found: list[dict[str, str]] = platforms.get(str(Platform.WEBPUSH), {}).get(_KEY, [])
    return found


def messages_of(platforms: Mapping[str, Mapping[str, Any]], device: str) -> list[str]:
    """Names of the messages that a device has not got yet, as far as anybody knows."""
    return [each["message"] for each in recalled_of(platforms) if each["device"] == device]
