"""Until when everything that was written is in the reports of a partition. Pure: ends and offsets are passed in."""

from __future__ import annotations

from collections.abc import Iterable

Place = tuple[str, int]  # book and partition


class Freshness:
    """A book whose end was seen at one moment, and is applied that far later, was whole as of the first.

    So a log that never stands still is as old as the reading is behind, not as old as its last pause.
    """

    def __init__(self) -> None:
        self._as_of: dict[Place, int] = {}
        self._seen: dict[Place, tuple[int, int]] = {}  # end and when it was seen, while less is applied
        self._reached: dict[Place, int] = {}

    def reached(self, place: Place, end: int) -> None:
        """Everything below this end was read. What a transaction leaves behind has an offset and is no record."""
        self._reached[place] = end

    def behind(self, place: Place, end: int, applied: int) -> int:
        """Records that are written and not in the reports, at most."""
        return max(0, end - max(applied, self._reached.get(place, 0)))

    def saw(self, place: Place, end: int, applied: int, now_ms: int) -> None:
        """The log ends at `end`, and everything below `applied` is in the reports."""
        applied = max(applied, self._reached.get(place, 0))
        seen = self._seen.get(place)
        if seen is not None and applied >= seen[0]:
            self._as_of[place] = seen[1]
            del self._seen[place]
        if applied >= end:
            self._as_of[place] = now_ms
            self._seen.pop(place, None)
        elif place not in self._seen:
            self._seen[place] = end, now_ms

    def as_of(self, places: Iterable[Place]) -> int | None:
        """Of all these places together; milliseconds since the epoch. None: one was never whole."""
        found = [self._as_of.get(place) for place in places]
        known = [each for each in found if each is not None]
        return min(known) if known and len(known) == len(found) else None

    def forget(self, partitions: Iterable[int]) -> None:
        """They went to another process."""
        gone = set(partitions)
        self._as_of = {place: at for place, at in self._as_of.items() if place[1] not in gone}
        self._reached = {place: end for place, end in self._reached.items() if place[1] not in gone}
        self._seen = {place: seen for place, seen in self._seen.items() if place[1] not in gone}
