"""The epoch floor of a claim whose predecessors' metadata is lost: their epochs are still in the outputs. Pure."""

from __future__ import annotations

from collections.abc import Collection

from pushcast.handover.fences import Author

FIRST_BLOCK_RECORDS = 1000
GROWTH = 4
GIVE_UP_RECORDS = FIRST_BLOCK_RECORDS * (1 + GROWTH)


class FloorSearch:
    """Reads one output backwards, in blocks that grow, until it has met a fence of every origin or the log begins.

    Metadata is lost when an operator sets or deletes the offset of a group, or the broker forgets it. If a
    predecessor's clock ran ahead, its fences are above what our clock gives, and every output of the new owner would be
    void while its sources are committed. So a claim without metadata goes by the greatest epoch that is found. The last
    record would not do: a fenced-off process may have written it.

    Steps: while `span` is not None, `see` every record of the span, then `next_block`.
    """

    def __init__(self, origins: Collection[str], end: int, never: Collection[str] = ()) -> None:
        """`end`: of the output. `never`: origins that may never have written: one of them is given up when the last
        `GIVE_UP_RECORDS` hold nothing of it, because a first start would read a log of others to its beginning."""
        self._never = set(never)
        self._read = 0
        self._greatest = dict.fromkeys(origins, 0)
        self._unfenced = set(origins)
        self._records = FIRST_BLOCK_RECORDS
        self._end = end

    @property
    def span(self) -> tuple[int, int] | None:
        """Offsets to be read next, the second one excluded; None when the search is over."""
        return (max(0, self._end - self._records), self._end) if self._unfenced and self._end > 0 else None

    def see(self, author: Author | None) -> None:
        """A record of the span, by whomever."""
        if author is None or author.origin not in self._greatest:
            return
        self._greatest[author.origin] = max(self._greatest[author.origin], author.epoch)
        if author.fence:
            self._unfenced.discard(author.origin)

    def next_block(self) -> None:
        """All of `span` was seen."""
        self._read += self._records
        if self._read >= GIVE_UP_RECORDS:
            self._unfenced -= {origin for origin in self._never if not self._greatest[origin]}
        self._end = max(0, self._end - self._records)
        self._records *= GROWTH

    def floor(self, origin: str) -> int:
        """The greatest epoch of this origin that was seen; 0 for none."""
        return self._greatest[origin]
