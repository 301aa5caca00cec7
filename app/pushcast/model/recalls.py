"""What a removal asks of push services that delete undelivered messages: a part of its content that is theirs alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pushcast.model.words import Platform

_KEY: Final = "recall"


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
