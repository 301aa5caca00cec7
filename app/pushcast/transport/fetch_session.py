"""What a broker remembers of our fetches, so that a request names what has changed alone (KIP-227). Pure.

Without it every request, and every answer, names all assigned partitions: sixty-four of a keeper for each record that
comes by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple, TypeVar

#: By topic: partition, offset to be fetched, and bytes at most.
Topics = Sequence[tuple[str, Sequence[tuple[int, int, int]]]]
T = TypeVar("T")
_LAST_EPOCH: Final = 2**31 - 1
#: In a request: make a session, and close the one of this id, if any.
_NEW: Final = 0
_NO_ID: Final = 0
#: Kafka's error for a session that the broker has let go: it keeps a thousand.
SESSION_ID_NOT_FOUND: Final = 70


class Ask(NamedTuple):
    """What a request says. `forgotten`: partitions that it no longer wants, by topic."""

    session_id: int
    epoch: int
    topics: Topics
    forgotten: Sequence[tuple[str, Sequence[int]]]


class FetchSession:
    """With one broker. One request is under way at a time: `ask`, then `answered` or `lost`."""

    def __init__(self) -> None:
        self._id = _NO_ID
        self._epoch = _NEW
        self._known: Mapping[tuple[str, int], tuple[int, int]] = {}  # what the broker remembers, when it has answered
        self._wanted: Mapping[tuple[str, int], tuple[int, int]] = {}

    def ask(self, topics: Topics) -> Ask:
        """The next request, so that the broker reads exactly these partitions."""
        self._wanted = wanted = {
            (topic, number): (offset, size) for topic, partitions in topics for number, offset, size in partitions
        }
        if self._epoch == _NEW:
            return Ask(self._id, _NEW, topics, ())
        known = self._known
        changed = _by_topic((key, (key[1], *said)) for key, said in wanted.items() if known.get(key) != said)
        gone = _by_topic((key, key[1]) for key in known if key not in wanted)
        return Ask(self._id, self._epoch, changed, gone)

    def answered(self, error_code: int, session_id: int) -> None:
        """The broker's word on it. After an error nothing was read, and the next request begins anew."""
        if error_code or (self._epoch != _NEW and session_id != self._id):
            if error_code == SESSION_ID_NOT_FOUND or not error_code:
                self._id = _NO_ID
            self.lost()
            return
        if session_id == _NO_ID:  # it keeps as many sessions as it will: each request names everything
            self._id = _NO_ID
            return
        self._id, self._known = session_id, self._wanted
        self._epoch = 1 if self._epoch == _LAST_EPOCH else self._epoch + 1

    def lost(self) -> None:
        """Nobody knows whether the broker has seen the request."""
        self._epoch, self._known = _NEW, {}


def _by_topic(pairs: Iterable[tuple[tuple[str, int], T]]) -> list[tuple[str, list[T]]]:
    found: dict[str, list[T]] = {}
    for (topic, _), each in pairs:
        found.setdefault(topic, []).append(each)
    return list(found.items())
