"""What SPREAD reads: for its spec, and for tools that ask how far a group has come. Imports no engine."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from pushcast.model.words import Lane, Platform
from pushcast.wire import groups, topics
from pushcast.wire.groups import Reading

ROLE: Final = "settler"
SOURCES: Final = tuple(map(topics.broadcast, Lane))


def readings(platforms: Iterable[Platform]) -> list[Reading]:
    """One group of all lanes."""
    return [Reading(ROLE, groups.SPREAD, SOURCES)]
