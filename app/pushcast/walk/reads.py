"""What WALK reads: for its spec, and for tools that ask how far a group has come. Imports no engine."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from pushcast.model.words import Lane, Platform
from pushcast.wire import groups, topics
from pushcast.wire.groups import Reading

ROLE: Final = "planner"


def readings(platforms: Iterable[Platform]) -> list[Reading]:
    """Of each lane, in the group of its planners."""
    return [Reading(ROLE, groups.plan(lane), (topics.walk(lane),)) for lane in Lane]
