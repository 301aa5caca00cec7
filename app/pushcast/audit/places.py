"""Finds deliveries that have not ended: in records that wait, and in records that nobody has handled yet. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pushcast.audit.reckoning import LAG, PARKED, RETRY, Key
from pushcast.handover.fences import Fences, author_of
from pushcast.model.errors import InvalidInput
from pushcast.model.words import Lane, Platform
from pushcast.wire import groups, topics
from pushcast.wire.batches import decode_batch

#: (group, topic, place): records of the topic that the group has not finished are such a place.
PLACES: Sequence[tuple[str, str, str]] = (
    (groups.SETTLE, topics.PARKED, PARKED),
    *((groups.SETTLE, topics.retry(delay), RETRY) for delay in topics.RETRY_DELAY_SECONDS),
    *((groups.send(platform, lane), topics.send(platform, lane), LAG) for platform in Platform for lane in Lane),
)
_PLACE = {topic: place for _, topic, place in PLACES}


class Search:
    """Looks for deliveries of some accounts of one partition in records that are not finished."""

    def __init__(self, wanted: Iterable[Key]) -> None:
        self.found: dict[Key, str] = {}
        self.topics: dict[Key, str] = {}  # where each was found
        self._left = set(wanted)
        self._fences: dict[str, Fences] = {}

    @property
    def over(self) -> bool:
        """Every account has a place."""
        return not self._left

    def record(self, topic: str, offset: int, headers: Sequence[tuple[str, bytes | None]], value: bytes | None) -> None:
        """A record, each topic in offset order. What no stage of ours could read is nobody's."""
        try:
            counts = self._fences.setdefault(topic, Fences()).admit(author_of(headers), offset)
            if value is None or not counts:
                return
            batch = decode_batch(value)
        except InvalidInput:
            return
        for message in batch.messages:
            targets, ids = message.targets, message.notification_ids
            for offset, notification in zip(targets.source_offset, targets.notification, strict=True):
                key = Key(batch.lane, batch.source, offset, ids[notification])
                if key in self._left:
                    self._left.discard(key)
                    self.found[key] = _PLACE[topic]
                    self.topics[key] = topic
