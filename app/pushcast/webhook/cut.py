"""One partition's way to one endpoint: which records go into the next request, and what is committed before it. Pure.

What goes into a request is decided once. The decision (a cut: first and last offset) is committed before the first try,
so that whoever tries again after a kill posts the same bytes under the same id, and the receiver knows it again. The
offset moves on when the endpoint has taken it.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from itertools import islice, takewhile
from typing import Any, Final, NamedTuple

MAX_EVENTS: Final = 500
#: How long the first event waits for others.
WAIT_SECONDS: Final = 1.0
Event = dict[str, Any]
_METADATA: Final = re.compile(r"(\d*):(\d*):(\d*)")


class CommitMark(NamedTuple):
    """What stands in the metadata of a commit.

    `last`: of the cut that begins at the committed offset, which may have been posted; None: there is none.
    `resumed_at`: time of the order to begin elsewhere that was obeyed last. `failing_since`: since when nothing is
    taken. Both are milliseconds since the epoch, 0 for never.
    """

    last: int | None = None
    resumed_at: int = 0
    failing_since: int = 0

    def text(self) -> str:
        """Of the commit."""
        return f"{'' if self.last is None else self.last}:{self.resumed_at}:{self.failing_since}"


def read_mark(text: str) -> CommitMark:
    """Of `CommitMark.text`. What it does not know is an empty mark: nothing was tried yet."""
    found = _METADATA.fullmatch(text)
    if found is None:
        return CommitMark()
    last, resumed_at, failing_since = found.groups()
    return CommitMark(int(last) if last else None, int(resumed_at or 0), int(failing_since or 0))


class WaitingEvent(NamedTuple):
    """An event that waits. `type`: of a `Stream`. `at_ms`: when its record was written."""

    offset: int
    type: str
    event: Event
    at_ms: int


class Cut(NamedTuple):
    """What goes into one request: the events of the records [first, last], all of one type."""

    first: int
    last: int
    type: str
    events: list[Event]


class Line:
    """The partition from its committed offset on. Give it every record once, in order."""

    def __init__(self, first: int, mark: CommitMark = CommitMark()) -> None:  # noqa: B008 - immutable
        self.first = first  # of what is not yet taken by the endpoint
        self.mark = mark
        self.read = first  # next offset to come
        self.committed = first, mark
        self._events: deque[WaitingEvent] = deque()
        self._oldest_at = 0.0

    def take(self, offset: int, event: tuple[str, Event] | None, now: float, at_ms: int = 0) -> None:
        """The next record, as its type and its event. None: the endpoint does not want it. `at_ms`: when it was
        written."""
        self.read = offset + 1
        if event is not None:
            if not self._events:
                self._oldest_at = now
            self._events.append(WaitingEvent(offset, *event, at_ms))

    @property
    def held(self) -> int:
        """Events in memory."""
        return len(self._events)

    @property
    def oldest_ms(self) -> int | None:
        """When the first of them was written."""
        return self._events[0].at_ms if self._events else None

    @property
    def full(self) -> bool:
        """Whether it has all that the next request takes: nothing more need be read meanwhile."""
        return len(self._events) >= MAX_EVENTS if self.mark.last is None else self.read > self.mark.last

    def cut(self, now: float) -> Cut | None:
        """What is to be posted now, the same until `taken`; commit `position` first. None: nothing yet."""
        if self.mark.last is None and self._events:
            alike = list(self._alike())
            if len(alike) >= MAX_EVENTS or len(alike) < len(self._events):
                self.mark = self.mark._replace(last=alike[-1].offset)
            elif now - self._oldest_at >= WAIT_SECONDS:
                self.mark = self.mark._replace(last=self.read - 1)
        last = self.mark.last
        if last is None or self.read <= last:
            return None
        events = [held for held in self._events if held.offset <= last]
        return Cut(self.first, last, events[0].type if events else "", [held.event for held in events])

    def _alike(self) -> Iterator[WaitingEvent]:
        """What one request may hold: events in a row of the type of the first, as many as it takes."""
        first = self._events[0].type
        return takewhile(lambda held: held.type == first, islice(self._events, MAX_EVENTS))

    def taken(self, now: float) -> None:
        """The endpoint has taken the cut, or there was nothing in it."""
        last = self.mark.last
        assert last is not None
        while self._events and self._events[0].offset <= last:
            self._events.popleft()
        self.first = last + 1
        self._oldest_at = now
        self.mark = self.mark._replace(last=None, failing_since=0)

    def failed(self, at_ms: int) -> None:
        """The endpoint did not take it: remembers since when."""
        if not self.mark.failing_since:
            self.mark = self.mark._replace(failing_since=at_ms)

    @property
    def position(self) -> tuple[int, CommitMark]:
        """What a commit says now: nothing before it is wanted any more."""
        return self.read if self.mark.last is None and not self._events else self.first, self.mark
