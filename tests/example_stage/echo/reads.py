"""What ECHO reads: for its spec, and for tools that ask how far a group has come. Imports no engine."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from pushcast.model.words import Platform
from pushcast.wire.groups import Reading

ROLE: Final = "settler"
GROUP: Final = "pushcast-echo"
SOURCE: Final = "push.note.v1"


def readings(platforms: Iterable[Platform]) -> list[Reading]:
    """One group."""
    return [Reading(ROLE, GROUP, (SOURCE,))]
