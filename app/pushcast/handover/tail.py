"""What predecessors wrote for source offsets that are not committed. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from pushcast.handover.fences import Author, Fences
from pushcast.handover.rules import ALL, Rules

#: A source record: its offset, and what it is called where a topic that was made anew would mix two of one offset.
Place = int | tuple[int, str]
#: Items of one source record that are in the outputs, by output topic: delivery ids, for PLAN.
There = dict[str, set[bytes]]


def offset_of(place: Place) -> int:
    """The offset of a source record."""
    return place if isinstance(place, int) else place[0]


class OwnTail:
    """Folds the output records of one origin, topic by topic in offset order, into what is already there.

    Memory: one entry per item of a source offset at or above the committed one; bounded by what was unfinished.
    """

    def __init__(self, origin: str, committed_offset: int, fenced: int, rules: Rules = ALL) -> None:
        self.there: dict[Place, There] = {}
        self.done: set[Place] = set()  # source records whose planned record is there
        self.highest = -1  # source offset found, -1 for none
        self._origin = origin
        self._committed_offset = committed_offset
        self._fenced = {origin: fenced} if rules.fenced_at else {}
        self._fences: dict[str, Fences] = {}
        self._rules = rules

    def admit(self, topic: str, offset: int, author: Author | None) -> bool:
        """Whether this record is to be folded: ours, data, not void. Every record must come by, fences too."""
        if author is None or author.origin != self._origin:
            return False
        fences = self._fences.get(topic)
        if fences is None:
            fences = self._fences[topic] = Fences(self._fenced)
        return fences.admit(author, offset) and self._rules.tail

    @property
    def void(self) -> int:
        """Records of fenced-off predecessors that were skipped."""
        return sum(fences.void for fences in self._fences.values())

    def add_items(self, topic: str, items: Iterable[tuple[Place, bytes]]) -> None:
        """(source record, item) pairs of an admitted record."""
        for place, item in items:
            offset = offset_of(place)
            if offset >= self._committed_offset:
                self.highest = max(self.highest, offset)
                if place not in self.done:  # outputs are read in any order among each other
                    self.there.setdefault(place, {}).setdefault(topic, set()).add(item)

    def add_planned(self, places: Iterable[Place]) -> None:
        """Source records that an admitted planned record closes."""
        for place in places:
            offset = offset_of(place)
            if offset >= self._committed_offset:
                self.done.add(place)
                self.there.pop(place, None)
                self.highest = max(self.highest, offset)

    def is_done(self, place: Place) -> bool:
        """Whether a predecessor finished this source record. Forgets it: ask once, when it is first handled."""
        if place in self.done:
            self.done.remove(place)
            return True
        return False

    def take(self, place: Place) -> There | None:
        """What is there of a source record that is not done; None for nothing. Forgets it, as `is_done` does."""
        return self.there.pop(place, None)

    def __len__(self) -> int:
        return len(self.there) + len(self.done)
