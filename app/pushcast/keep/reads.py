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
SOURCES: Final = (*(topics.keep(lane) for lane in Lane), *BESIDE)
#: Of these what may be a moment late: all but what urgent notifications wait for. While those come one by one, each has
#: two fetches (its own and that of its row), which need not name fifty partitions more.
GATHERED: Final = tuple(topic for topic in SOURCES if topic != topics.keep(Lane.URGENT))


def readings(platforms: Iterable[Platform]) -> list[Reading]:
    """One group: what it keeps of a user spans the lanes."""
    return [Reading(ROLE, groups.KEEP, SOURCES)]
