"""Whether rows that Kafka has acknowledged count, before the table has read them back. Pure.

A row is void when somebody's fence lies before it in the log. The table knows that of all that it has applied. Of what
lies behind, a keeper knows how much is its own: when that is all of it, no fence lies in between.
"""

from __future__ import annotations

from pushcast.stream.ports import Acked


class Unbroken:
    """Of the table's topic in one partition, during one assignment."""

    def __init__(self) -> None:
        self._others: int | None = None  # records below the last end that are not this process's, and were judged

    def applied(self, acked: Acked, position: int, *, is_ours: bool) -> None:
        """The table has applied everything below `position`. `is_ours`: its last fence is that of this assignment."""
        if not is_ours:
            self._others = None
        elif position >= acked.end:
            self._others = acked.end - acked.records

    def reaches(self, acked: Acked) -> bool:
        """Whether all rows below the end of what is acknowledged count."""
        return self._others is not None and acked.end - acked.records == self._others
