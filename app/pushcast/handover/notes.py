"""Output positions by source offset: from where a new owner must read to see what was written for it. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from pushcast.handover.rules import ALL, Rules

Positions = Mapping[str, int]


class NotedPositions:
    """Positions noted before source records are first handled. One per source partition and assignment.

    Memory: one entry per call of `note` whose positions moved, down to the oldest unfinished record.
    """

    __slots__ = ("_entries", "_inherited", "_inherited_to", "_noted_to", "_rules")

    def __init__(self, inherited: Positions, rules: Rules = ALL) -> None:
        self._inherited = inherited
        self._inherited_to: int | None = None
        self._rules = rules
        self._noted_to = -1
        self._entries: deque[tuple[int, Positions]] = deque()  # first offset that the positions hold for

    def inherit_to(self, offset: int) -> None:
        """The tail is read; `offset` is the highest source offset in it, -1 for none. From here on `note` may come."""
        self._inherited_to = offset

    def note(self, first: int, last: int, positions: Positions) -> None:
        """Source records from `first` to `last` are about to be handled; ascending. Those noted before keep theirs.

        `positions` are ends of the outputs as they were known at or before this moment.
        """
        if self._inherited_to is None:
            raise ValueError("the tail is not read yet")
        if last <= self._noted_to:
            return
        first, self._noted_to = max(first, self._noted_to + 1), last
        if not self._entries or self._entries[-1][1] != positions:
            self._entries.append((first, positions))

    def is_inherited(self, offset: int) -> bool:
        """Whether a commit of `offset` must carry the inherited positions."""
        to = self._inherited_to
        return to is None or (offset <= to and self._rules.inherit)

    def at(self, offset: int, positions: Positions) -> Positions:
        """What a commit of `offset` carries; `positions` are the ends known now. Offsets never go down."""
        if self.is_inherited(offset):
            return self._inherited
        if offset > self._noted_to or not self._rules.note:
            return positions  # nothing at or above it was handled
        entries = self._entries
        while len(entries) > 1 and entries[1][0] <= offset:
            entries.popleft()
        return entries[0][1]

    def __len__(self) -> int:
        return len(self._entries)
