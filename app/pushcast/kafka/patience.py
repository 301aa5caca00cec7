"""Records of an outbox that wait for a place which Kafka refuses for now; they are put again when it is taken."""

from __future__ import annotations

from asyncio import AbstractEventLoop
from collections import deque
from collections.abc import Callable, Set
from contextlib import suppress
from typing import Any, cast

from confluent_kafka import KafkaError, Message

from pushcast.kafka.barrier import KafkaBarrier
from pushcast.kafka.producer import PRODUCE_ERRORS, refusal_of, said_at_once
from pushcast.kafka.refusals import OF_A_PLACE, HeldRecord, OutputPlace, Refusals
from pushcast.stream.errors import OutboxFailed, RecordRefused
from pushcast.wire.headers import PROBE


class Patience:
    """`topics`: whose records wait. `produce`: as the producer has it. `places` are refused: for reading alone.

    `refuse` is told of a record that waited and is itself to blame.
    """

    def __init__(
        self,
        topics: Set[str],
        produce: Callable[..., None],
        loop: AbstractEventLoop,
        refuse: Callable[[HeldRecord, RecordRefused], None],
    ) -> None:
        self.topics = topics
        self.refusals = Refusals(mark=self.mark, again=self._put_again, call_later=loop.call_later)
        self.places = self.refusals.places
        self._produce = produce
        self._loop = loop
        self._refuse = refuse
        self._kept: deque[tuple[OutputPlace, str, KafkaBarrier, Message]] = (
            deque()
        )  # from the poll threads, for the loop

    def waits(self, error: KafkaError, topic: str) -> bool:
        """Whether another time may mend it, and the topic's records wait for that."""
        return error.code() in OF_A_PLACE and topic in self.topics

    def keep(self, error: KafkaError, barrier: KafkaBarrier, message: Message) -> None:
        """On a poll thread: a record that was refused waits."""
        self._kept.append((OutputPlace(message.topic() or "", message.partition() or 0), error.str(), barrier, message))

    def take_kept(self) -> None:
        """On the loop: what the poll threads kept is held from here on."""
        while self._kept:
            place, reason, barrier, message = self._kept.popleft()
            self.refusals.refuse(place, reason, _as_it_was_put(place, barrier, message))

    def mark(self, place: OutputPlace) -> None:
        """Asks whether a refused place takes records again."""

        def delivered(error: KafkaError | None, _: Message) -> None:
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self._loop.call_soon_threadsafe(self.refusals.marked, place, None if error is None else error.str())

        try:
            self._produce(place.topic, None, None, place.partition, delivered, headers=[(PROBE, b"1")])
        except PRODUCE_ERRORS as exc:
            self.refusals.marked(place, said_at_once(exc).str())

    def _put_again(self, place: OutputPlace, held: HeldRecord) -> None:
        barrier, value, key, headers, timestamp_ms = held
        barrier.kept.append((*place, value, headers, timestamp_ms))
        arguments: dict[str, Any] = {} if timestamp_ms is None else {"timestamp": timestamp_ms}
        try:
            self._produce(
                place.topic, value, key, place.partition, barrier.delivered, headers=cast(Any, headers), **arguments
            )
        except PRODUCE_ERRORS as exc:
            barrier.kept.pop()
            error = said_at_once(exc)
            refusal = refusal_of(error, *place, len(value or b""))
            if refusal is None:
                self.refusals.refuse(place, error.str(), held)
            else:
                self._refuse(held, refusal)


def _as_it_was_put(place: OutputPlace, barrier: KafkaBarrier, message: Message) -> HeldRecord:
    """A refused record whole: a delivery report has neither its headers nor its timestamp."""
    value = message.value()
    for at, (topic, partition, put, headers, timestamp_ms) in enumerate(barrier.kept):
        if put == value and (topic, partition) == place:
            del barrier.kept[at]
            return HeldRecord(barrier, value, message.key(), headers, timestamp_ms)
    for topic, partition, records in barrier.kept_lots:
        if (topic, partition) == place:
            for at, (put, key, headers) in enumerate(records):
                if put == value:
                    del records[at]
                    return HeldRecord(barrier, value, key, headers, None)
    raise OutboxFailed(f"{place.topic}[{place.partition}]: a refused record is not known here")
