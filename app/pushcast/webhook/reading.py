"""Records of the topics that an endpoint reads, as the events that it wants."""

from __future__ import annotations

import logging
from collections import Counter

from pushcast.config.doors import Webhook
from pushcast.model.errors import InvalidInput
from pushcast.webhook.cut import Event
from pushcast.webhook.events import STREAMS, Stream

logger = logging.getLogger(__name__)


class EventReader:
    """Knows what one endpoint wants. Records that cannot be read are counted and passed by."""

    def __init__(self, name: str, wanted: Webhook) -> None:
        self._name = name
        self._wanted = wanted
        self._streams: dict[str, list[Stream]] = {}  # by topic
        for each in wanted.events:
            self._streams.setdefault(STREAMS[each].topic, []).append(STREAMS[each])
        self.unreadable: Counter[str] = Counter()  # records, by reason

    @property
    def topics(self) -> list[str]:
        """What it reads."""
        return sorted(self._streams)

    def event(self, topic: str, key: bytes | None, value: bytes | None) -> tuple[str, Event] | None:
        """A record as its type and its event; None: the endpoint does not want it."""
        if value is None:
            return None  # a fence, or a tombstone
        try:
            for stream in self._streams[topic]:
                if (event := stream.read(self._wanted, key, value)) is not None:
                    return stream.type, event
        except InvalidInput as error:
            if not self.unreadable[error.reason]:
                logger.warning("webhook %s passes by records of %s: %s", self._name, topic, error)
            self.unreadable[error.reason] += 1
        return None
