"""What PLAN reads: for its spec, and for tools that ask how far a group has come. Imports no engine."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from pushcast.model.words import Lane, Platform
from pushcast.wire import groups, topics
from pushcast.wire.groups import Reading

ROLE: Final = "planner"


def sources(lane: Lane) -> tuple[str, ...]:
    """Notifications of a lane, and what a keeper lets go of."""
    return topics.notification(lane), topics.due(lane)


def readings(platforms: Iterable[Platform]) -> list[Reading]:
    """A group for each lane."""
    return [Reading(ROLE, groups.plan(lane), sources(lane)) for lane in Lane]
