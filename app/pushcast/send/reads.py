"""What SEND reads: for its spec, and for tools that ask how far a group has come. Imports no engine."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from pushcast.model.words import Lane, Platform
from pushcast.wire import groups, topics
from pushcast.wire.groups import Reading

ROLE: Final = "sender"


def readings(platforms: Iterable[Platform]) -> list[Reading]:
    """A group for each platform and lane."""
    return [Reading(ROLE, groups.send(each, lane), (topics.send(each, lane),)) for each in platforms for lane in Lane]
