"""What REGISTER reads: for its spec, and for tools that ask how far a group has come. Imports no engine."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from pushcast.model.words import Platform
from pushcast.wire import groups, topics
from pushcast.wire.groups import Reading

ROLE: Final = "registrar"
SOURCES: Final = (
    topics.DEVICE_CHANGED,
    topics.TOKEN_INVALID,
    topics.TOKEN_EVICT,
    topics.TOKEN_HOLD,
    topics.ENGAGEMENT,
)


def readings(platforms: Iterable[Platform]) -> list[Reading]:
    """One group: devices have no lanes."""
    return [Reading(ROLE, groups.REGISTER, SOURCES)]
