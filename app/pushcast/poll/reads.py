"""What POLL reads: for its spec, and for tools that ask how far a group has come. Imports no engine."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from pushcast.model.words import Platform
from pushcast.wire import groups, topics
from pushcast.wire.groups import Reading

ROLE: Final = "settler"


def readings(platforms: Iterable[Platform]) -> list[Reading]:
    """A group for each platform whose provider hands out tickets."""
    return [
        Reading(ROLE, groups.poll(each), (topics.ticket(each),))
        for each in platforms
        if each in topics.TICKET_PLATFORMS
    ]
