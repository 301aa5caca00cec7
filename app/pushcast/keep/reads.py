"""What KEEP reads: for its spec, and for tools that ask how far a group has come. Imports no engine."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from pushcast.model.words import Lane, Platform
from pushcast.wire import groups, topics
from pushcast.wire.groups import Reading

ROLE: Final = "keeper"
#: Beside what it holds: what is called off, what was read, what may be taken back, and what caps count.
BESIDE: Final = (topics.CANCEL, topics.ENGAGEMENT, topics.RECALLABLE, topics.COUNTED)
#: Of these what many notifications end with: a slot that comes back, or a push that may be taken back, may be a moment
#: late.
GATHERED: Final = (topics.RECALLABLE, topics.COUNTED)
SOURCES: Final = (*(topics.keep(lane) for lane in Lane), *BESIDE)


def readings(platforms: Iterable[Platform]) -> list[Reading]:
    """One group: what it keeps of a user spans the lanes."""
    return [Reading(ROLE, groups.KEEP, SOURCES)]
