"""What SETTLE reads: for its spec, and for tools that ask how far a group has come. Imports no engine."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from pushcast.model.words import Platform
from pushcast.wire import groups, topics
from pushcast.wire.groups import Reading

ROLE: Final = "settler"
GROUP: Final = groups.SETTLE
RUNGS: Final[tuple[str, ...]] = tuple(topics.retry(delay) for delay in topics.RETRY_DELAY_SECONDS)
SOURCES: Final[tuple[str, ...]] = (*RUNGS, topics.PARKED)


def readings(platforms: Iterable[Platform]) -> list[Reading]:
    """One group of all platforms and lanes."""
    return [Reading(ROLE, GROUP, SOURCES)]
