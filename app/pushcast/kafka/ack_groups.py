"""Records that are put together, and what Kafka says of each of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from confluent_kafka import KafkaError, Message, Producer

from pushcast.kafka.producer import PRODUCE_ERRORS, beside_the_value, refusal_of, said_at_once
from pushcast.stream.errors import Full, OutboxFailed
from pushcast.wire.headers import Headers

RECORD_OVERHEAD_BYTES: Final = 512

#: Topic, partition, key, value.
Record = tuple[str, int, bytes, bytes | None]


class Group:
    """Its future resolves when Kafka has answered for each record."""

    __slots__ = ("_ended", "_left", "answered", "errors", "future")

    def __init__(self, count: int, future: asyncio.Future[None], ended: Callable[[], None] = lambda: None) -> None:
        """`ended` is called once, with the last answer."""
        self.future = future
        self.answered = [False] * count
        self.errors: dict[int, BaseException] = {}  # by place in the group
        self._left = count
        self._ended = ended

    def delivered(self, place: int, error: KafkaError | None, message: Message) -> None:
        """Kafka's word on one, as librdkafka brings it."""
        if error is None and message.offset() is not None:
            self.end(place, None)
        else:
            self.end(place, blame(error, message.topic() or "", message.partition() or 0, len(message)))

    def end(self, place: int, error: BaseException | None) -> None:
        """One is answered for; the first answer counts."""
        if self.answered[place]:
            return
        self.answered[place] = True
        if error is not None:
            self.errors[place] = error
        self._left -= 1
        if not self._left:
            self._ended()
            if not self.future.done():
                self.future.set_result(None)


def size_of(records: Sequence[Record]) -> int:
    """Bytes that they take in memory, about."""
    return sum(len(value or b"") for _, _, _, value in records) + len(records) * RECORD_OVERHEAD_BYTES


def produce_all(producer: Producer, records: Sequence[Record], group: Group) -> None:
    """Puts them, those of each partition in one call; those that cannot be put end with their error.

    A call for each record took a third of the processor time of a bulk. A partition that a message of a batch names is
    not obeyed, only that of the call.
    """
    by_partition: dict[tuple[str, int], list[tuple[int, dict[str, Any]]]] = {}
    for place, (topic, partition, key, value) in enumerate(records):
        message: dict[str, Any] = {"value": value, "key": key, "callback": partial(group.delivered, place)}
        by_partition.setdefault((topic, partition), []).append((place, message))
    for (topic, partition), placed in by_partition.items():
        try:
            put = producer.produce_batch(topic, [message for _, message in placed], partition)
        except PRODUCE_ERRORS as error:
            for place, message in placed:
                group.end(place, unput(error, topic, partition, len(message["value"] or b"")))
            continue
        if put == len(placed):
            continue
        for place, message in placed:
            refused: KafkaError | None = message.get("_error")
            if refused is not None:
                group.end(place, _unput(refused, topic, partition, len(message["value"] or b"")))


def produce_each(producer: Producer, records: Sequence[Record], group: Group, headers: Mapping[str, Headers]) -> None:
    """As `produce_all`, with headers by topic: librdkafka takes none in a batch."""
    for place, (topic, partition, key, value) in enumerate(records):
        more: Any = headers.get(topic)
        size = len(value or b"")
        try:
            size += beside_the_value(key, more)
            producer.produce(topic, value, key, partition, partial(group.delivered, place), headers=more)
        except PRODUCE_ERRORS as error:
            group.end(place, unput(error, topic, partition, size))


def unput(error: BaseException, topic: str, partition: int, size: int) -> BaseException:
    """Why a record was not put, of what `produce` raised (PRODUCE_ERRORS)."""
    return _unput(said_at_once(error), topic, partition, size)


def _unput(error: KafkaError, topic: str, partition: int, size: int) -> BaseException:
    if error.code() == KafkaError._QUEUE_FULL:
        return Full("librdkafka's queue is full")
    return blame(error, topic, partition, size)


def blame(error: KafkaError | None, topic: str, partition: int, size: int) -> BaseException:
    """Why a record is not confirmed."""
    # A duplicate sequence counts as success in librdkafka, but names no offset: not proven is not done.
    if error is None:
        return OutboxFailed(f"{topic}[{partition}]: acknowledged without an offset")
    refusal = refusal_of(error, topic, partition, size)
    return refusal or OutboxFailed(f"{topic}[{partition}]: {error.name()}: {error.str()}")
