"""What a rehearsal is given, and what it tells of each event. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from pushcast.wire.headers import Headers


class Past(NamedTuple):
    """A record as it lay in its topic: an event, a cancel (of a campaign: of the control topic), the order of a
    broadcast, or what a user read. `at_ms`: its Kafka time."""

    topic: str
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    at_ms: int


@dataclass(slots=True)
class EventFate:
    """What becomes of one event: deliveries by when they leave, and the words of those that end otherwise."""

    user: str = ""
    notification: str = ""
    leaves: list[int] = field(default_factory=list)  # one for each delivery, milliseconds since the epoch
    ends: list[str] = field(default_factory=list)  # `suppressed opted_out`; `dead_letter`
    held: list[str] = field(default_factory=list)  # why it waited on its way
    platforms: Counter[str] = field(default_factory=Counter)  # of those that leave
    waits: list[tuple[str, int]] = field(default_factory=list)  # why it is with the keeper, and since when
    returns: int = 0  # how often it came back from there

    def came_back(self, now_ms: int) -> None:
        """The keeper has let it go. What took no time held nothing up: it was asked."""
        self.returns += 1
        self.held += [reason for reason, since_ms in self.waits if now_ms > since_ms]
        self.waits.clear()

    def words(self) -> str:
        """In a few words, the same for the same fate whatever the hour."""
        found = ([f"{len(self.leaves)} sent"] if self.leaves else []) + sorted(set(self.ends))
        waited = ", ".join(dict.fromkeys(self.held))
        return ", ".join(found or ["nothing"]) + (f" after {waited}" if waited and self.leaves else "")
