"""Which records of a partition count, for a reader that begins in the middle of it. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from pushcast.handover.fences import Author, Fences, author_of
from pushcast.model.errors import InvalidInput


class Writers:
    """Fences of one partition, and what records themselves say of fences that lie before the first one read.

    A writer begins after its fence is acknowledged in every output: a record of an epoch proves that the fence of this
    epoch lies below it.
    """

    def __init__(self) -> None:
        self._fences = Fences()
        self._epochs: dict[str, int] = {}

    @property
    def void(self) -> int:
        """Records that did not count."""
        return self._fences.void

    def admit(self, author: Author | None, offset: int) -> bool:
        """Whether the record counts; in offset order."""
        counts = self._fences.admit(author, offset)
        if author is not None and author.epoch > self._epochs.get(author.origin, -1):
            self._epochs[author.origin] = author.epoch
            if counts:
                self._fences.admit(author._replace(fence=True), offset)
        return counts

    def stands(self, headers: Iterable[tuple[str, bytes | None]] | None, offset: int) -> bool:
        """`admit` by a record's headers; one whose writer cannot be made out is void, as in `Fences.stands`."""
        try:
            author = author_of(headers)
        except InvalidInput:
            self._fences.void += 1
            return False
        return self.admit(author, offset)
