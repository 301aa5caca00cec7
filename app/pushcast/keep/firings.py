"""Releases of timers, and how a new owner knows which ones its predecessor made. Pure.

A release is: the due record, acknowledged; the row without its timer, acknowledged; only then may the positions from
which a new owner reads move past it. A firing is what a source record is to PLAN: it has a number instead of an offset.
"""

from __future__ import annotations

from collections.abc import Mapping

from pushcast.handover.rules import ALL, Rules
from pushcast.handover.standing import Standing
from pushcast.handover.state import Outset, Takeover

#: Below every firing of this assignment: what predecessors released.
INHERITED = 0


class Firings(Takeover):
    """One partition during one assignment. `outputs`: the table's topic, which is `planned`, and those of due records.

    Steps after those of `Takeover`: close the rows of what `tail` names, and call `recovered` when Kafka has them; then
    for each release `begin` before its due record is put, and `end` when its row is acknowledged.
    """

    def __init__(self, outset: Outset, rules: Rules = ALL) -> None:
        # Firings are counted anew in each assignment: no offset of the source bounds what is read of the tail.
        super().__init__(outset._replace(committed_offset=INHERITED), rules)
        self._next = INHERITED + 1
        self._open: dict[int, None] = {}  # ascending
        self._recovered = False

    def recovered(self) -> None:
        """The rows of all that predecessors released are closed."""
        self._recovered = True

    def begin(self) -> int:
        """The number of a release that is about to be put: call `note` with it first."""
        number, self._next = self._next, self._next + 1
        self._open[number] = None
        return number

    def end(self, number: int) -> None:
        """Its due record and its row are acknowledged."""
        del self._open[number]

    def standing(self, offset: int, origins: Mapping[str, int] | None = None) -> Standing:
        """What a commit carries, whatever the source's offset."""
        oldest = next(iter(self._open), self._next) if self._recovered else INHERITED
        return super().standing(oldest, origins)
