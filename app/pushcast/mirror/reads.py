"""What MIRROR reads: for its spec, and for tools that ask how far a group has come. Imports no engine."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from pushcast.model.words import Platform
from pushcast.wire import groups, topics
from pushcast.wire.groups import Reading

ROLE: Final = "sender"


def readings(platforms: Iterable[Platform]) -> list[Reading]:
    """One group: topics have no lanes."""
    return [Reading(ROLE, groups.MIRROR, (topics.TOKEN_TOPICS,))] if Platform.FCM in set(platforms) else []
