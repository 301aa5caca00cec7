"""Finds deliveries that have not ended: in records that wait, and in records that nobody has handled yet. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

from pushcast.audit.accounts import AccountKey
from pushcast.audit.reckoning import LAG, NOT_WRITTEN, PARKED, RETRY
from pushcast.handover.fences import Fences
from pushcast.handover.standing import NOT_REFUSED, Refused, UnreadableMetadata, decode
from pushcast.model.errors import InvalidInput
from pushcast.model.words import Lane, Platform
from pushcast.wire import groups, topics
from pushcast.wire.sending.batches import decode_batch

#: (group, topic, place): records of the topic that the group has not finished are such a place.
PLACES: Sequence[tuple[str, str, str]] = (
    (groups.SETTLE, topics.PARKED, PARKED),
    *((groups.SETTLE, topics.retry(delay), RETRY) for delay in topics.RETRY_DELAY_SECONDS),
    *((groups.send(platform, lane), topics.send(platform, lane), LAG) for platform in Platform for lane in Lane),
)
_PLACE = {topic: place for _, topic, place in PLACES}


class Search:
    """Looks for deliveries of some accounts of one partition in records that are not finished."""

    def __init__(self, wanted: Iterable[AccountKey], sent_to: Mapping[str, int] | None = None) -> None:
        """`sent_to`: of send topics whose senders may not write, the offset below which something may have left."""
        self._sent_to = sent_to or {}
        self.found: dict[AccountKey, str] = {}
        self.topics: dict[AccountKey, str] = {}  # where each was found
        self._left = set(wanted)
        self._fences: dict[str, Fences] = {}

    @property
    def over(self) -> bool:
        """Every account has a place."""
        return not self._left

    def record(self, topic: str, offset: int, headers: Sequence[tuple[str, bytes | None]], value: bytes | None) -> None:
        """A record, each topic in offset order. What no stage of ours could read is nobody's."""
        try:
            counts = self._fences.setdefault(topic, Fences()).stands(headers, offset)
            if value is None or not counts:
                return
            batch = decode_batch(value)
        except InvalidInput:
            return
        place = NOT_WRITTEN if offset < self._sent_to.get(topic, 0) else _PLACE[topic]
        for message in batch.messages:
            targets, ids = message.targets, message.notification_ids
            for source_offset, notification in zip(targets.source_offset, targets.notification, strict=True):
                key = AccountKey(batch.lane, batch.source, source_offset, ids[notification])
                if key in self._left:
                    self._left.discard(key)
                    self.found[key] = place
                    self.topics[key] = topic


def refused_in(metadata: str) -> Refused:
    """From a sender's commit: outputs that Kafka refused it, and below which send offset something may have left. None
    in what somebody else has committed. The client may hand over bytes behind the metadata; they are left out."""
    try:
        _, end = json.JSONDecoder().raw_decode(metadata)
        return decode(metadata[:end]).refused
    except (json.JSONDecodeError, RecursionError, UnreadableMetadata):
        return NOT_REFUSED
