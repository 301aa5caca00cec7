"""Places that Kafka refuses for now: a permission is missing, a topic is gone, a policy or a disk says no.

What was put there waits, and with it whatever its barriers hold up, until Kafka has taken one marker there (a null
value and the header `push-probe`), which is tried with back-off. So a process that may not write its outcomes
keeps them, does nothing further that has an outcome, and goes on by itself.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from confluent_kafka import KafkaError

from pushcast.kafka.barrier import KafkaBarrier
from pushcast.stream.ports import CallLater, TimerHandle

logger = logging.getLogger(__name__)

FIRST_WAIT_SECONDS: Final = 0.5
LONGEST_WAIT_SECONDS: Final = 10.0

#: Errors of a place, which another time may not have. Not of the record, not of the producer.
OF_A_PLACE: Final = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError._UNKNOWN_TOPIC,
        KafkaError._UNKNOWN_PARTITION,
        KafkaError.POLICY_VIOLATION,
        KafkaError.KAFKA_STORAGE_ERROR,
    }
)


class OutputPlace(NamedTuple):
    """A topic and partition."""

    topic: str
    partition: int


class HeldRecord(NamedTuple):
    """A record as it was put, and its barrier."""

    barrier: KafkaBarrier
    value: bytes | None
    key: bytes | None
    headers: Sequence[tuple[str, bytes | None]] | None
    timestamp_ms: int | None


@dataclass
class RefusedPlace:
    """Why a place is refused, when it is asked again, and what waits for it."""

    reason: str
    wait_seconds: float = FIRST_WAIT_SECONDS
    timer: TimerHandle | None = None
    held: list[HeldRecord] = field(default_factory=list)


class Refusals:
    """Of one outbox, on its loop. `mark` writes a marker and answers with `marked`; `again` writes what was held."""

    def __init__(
        self,
        *,
        mark: Callable[[OutputPlace], None],
        again: Callable[[OutputPlace, HeldRecord], None],
        call_later: CallLater,
    ) -> None:
        self._mark = mark
        self._again = again
        self._call_later = call_later
        self.places: dict[OutputPlace, RefusedPlace] = {}  # read it, and write it nowhere else

    def told(self) -> list[str]:
        """One sentence for each refused place."""
        return [f"{place.topic}[{place.partition}]: {each.reason}" for place, each in self.places.items()]

    def topics(self, partition: int) -> list[str]:
        """Refused topics of this partition."""
        return [place.topic for place in self.places if place.partition == partition]

    def refuse(self, place: OutputPlace, reason: str, held: HeldRecord | None = None) -> None:
        """Kafka refused this place, or did when somebody last asked. The first marker follows in half a second."""
        refused = self.places.get(place)
        if refused is None:
            refused = self.places[place] = RefusedPlace(reason)
            logger.warning("%s[%d] is refused, what is put there waits: %s", *place, reason)
            self._try_later(place, refused)
        refused.reason = reason
        if held is not None:
            refused.held.append(held)

    def hold(self, place: OutputPlace, held: HeldRecord) -> None:
        """Keeps a record for a refused place."""
        self.places[place].held.append(held)

    def marked(self, place: OutputPlace, reason: str | None) -> None:
        """What became of the marker: None when Kafka took it."""
        refused = self.places.get(place)
        if refused is None:
            return
        if reason is not None:
            refused.reason = reason
            refused.wait_seconds = min(2 * refused.wait_seconds, LONGEST_WAIT_SECONDS)
            self._try_later(place, refused)
            return
        del self.places[place]
        logger.warning("%s[%d] is taken again, %d records go there now", *place, len(refused.held))
        for held in refused.held:
            self._again(place, held)

    def close(self) -> None:
        """Tries no more; what is held stays unacknowledged."""
        for refused in self.places.values():
            if refused.timer is not None:
                refused.timer.cancel()

    def _try_later(self, place: OutputPlace, refused: RefusedPlace) -> None:
        refused.timer = self._call_later(refused.wait_seconds, lambda: self._mark(place))
