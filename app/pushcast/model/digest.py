"""How notifications of a class gather."""

from __future__ import annotations

from typing import Final, NamedTuple

#: What texts may hold in braces.
PLACES: Final = ("count", "first_title", "last_title", "app")


class DigestRule(NamedTuple):
    """A class's setting. `max_events`: with so many it leaves at once. `listed`: ids that the push names at most.
    `first_leaves`: the first is not held, and opens a digest for the rest. `of_thread`: its members share a thread."""

    ttl_ms: int
    max_events: int = 100
    listed: int = 20
    first_leaves: bool = False
    title: str = "{last_title}"
    body: str = "{count} new"
    of_thread: bool = False


#: Of a class that the configuration has no longer: the planner says so when its digest is due.
NO_RULE: Final = DigestRule(ttl_ms=86_400_000)
