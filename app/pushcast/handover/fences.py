"""Who wrote a record, and whether its writer had been fenced off by then. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Final, NamedTuple

from pushcast.handover.rules import ALL, Rules
from pushcast.model.errors import InvalidInput
from pushcast.model.words import Reason
from pushcast.wire import headers as h

_MAX_EPOCH: Final = 2**63 - 1
_MAX_DIGITS: Final = 19


class Author(NamedTuple):
    """Origin (stage and source partition), epoch of its claim, and whether the record is a fence."""

    origin: str
    epoch: int
    fence: bool


def author_of(headers: Iterable[tuple[str, bytes | None]] | None) -> Author | None:
    """None for a record without an origin: nothing can void it.

    Raises InvalidInput (invalid_field) for an origin without a decimal epoch of 63 bits or that is not UTF-8.
    """
    origin = epoch = None
    fence = False
    for key, value in headers or ():
        if key == h.ORIGIN:
            origin = (value or b"") if origin is None else origin
        elif key == h.EPOCH:
            epoch = (value or b"") if epoch is None else epoch
        elif key == h.FENCE:
            fence = True
    if origin is None:
        return None
    try:
        return _author(origin, epoch or b"", fence)
    except ValueError:
        raise InvalidInput(
            Reason.INVALID_FIELD, f"{h.EPOCH} of a record with {h.ORIGIN} is no number", h.EPOCH
        ) from None


@lru_cache(maxsize=4096)
def _author(origin: bytes, epoch: bytes, fence: bool) -> Author:
    """Few write into what a reader reads: each is made out once. Raises ValueError."""
    if not epoch.isdigit() or len(epoch) > _MAX_DIGITS or (number := int(epoch)) > _MAX_EPOCH:
        raise ValueError("no epoch that commit metadata can hold")
    return Author(origin.decode(), number, fence)


class Fences:
    """Fences that the reader of one partition has seen; a record of a lower epoch behind one is void.

    Judged by offset, so that a record gets the same verdict whenever it is read again. Memory: one entry per fence
    above the last commit, one per origin below it.
    """

    __slots__ = ("_base", "_rules", "_seen", "void")

    def __init__(self, below: Mapping[str, int] | None = None, rules: Rules = ALL) -> None:
        self._base: dict[str, int] = dict(below or {})  # highest epoch below the committed offset
        self._seen: dict[str, list[tuple[int, int]]] = {}  # origin -> (offset, epoch) from there on, ascending
        self._rules = rules
        self.void = 0  # records judged void

    def admit(self, author: Author | None, offset: int) -> bool:
        """Whether the record counts. A fence never does: it is remembered. Void records are counted."""
        if author is None:
            return True
        origin, epoch, fence = author
        if fence:
            self._remember(origin, offset, epoch)
            return False
        if epoch >= self._base.get(origin, 0):
            seen = self._seen.get(origin)  # mostly none since the last commit
            if seen is None or all(epoch >= fenced or offset < at for at, fenced in seen):
                return True
        self.void += 1
        return False

    def admits_all(self, author: Author) -> bool:
        """Whether `admit` takes what this author writes at whatever offset, until another fence is seen."""
        origin, epoch, fence = author
        return not fence and origin not in self._seen and epoch >= self._base.get(origin, 0)

    def stands(self, headers: Iterable[tuple[str, bytes | None]] | None, offset: int) -> bool:
        """`admit` by a record's headers, for who only looks on: a record whose writer cannot be made out is void.

        Anybody may write such headers, and no stage acts on such a record: it must not end who reads beside them.
        """
        try:
            return self.admit(author_of(headers), offset)
        except InvalidInput:
            self.void += 1
            return False

    def counts(
        self, headers: Iterable[tuple[str, bytes | None]] | None, offset: int, on_void: Callable[[], None]
    ) -> bool:
        """`admit` by a record's headers; `on_void` is called for a record that is void and no fence.

        Raises what `author_of` raises.
        """
        author = author_of(headers)
        if self.admit(author, offset):
            return True
        if author is not None and not author.fence:
            on_void()
        return False

    def _remember(self, origin: str, offset: int, epoch: int) -> None:
        seen = self._seen.setdefault(origin, [])
        if (offset, epoch) not in seen:
            seen.append((offset, epoch))
            seen.sort()

    def below(self, offset: int) -> dict[str, int]:
        """For the metadata of a commit of `offset`: highest fenced epoch per origin. Offsets never go down.

        Fences at or above `offset` are left out: records before them will be read again and count.
        """
        if not self._rules.fences_below:
            found = dict(self._base)
            for origin, seen in self._seen.items():
                found[origin] = max(found.get(origin, 0), *(epoch for _, epoch in seen))
            return found
        for origin, seen in list(self._seen.items()):
            kept = [entry for entry in seen if entry[0] >= offset]
            if len(kept) < len(seen):
                passed = max(epoch for at, epoch in seen if at < offset)
                self._base[origin] = max(self._base.get(origin, 0), passed)
                if kept:
                    self._seen[origin] = kept
                else:
                    del self._seen[origin]
        return dict(self._base)
