"""Questions about the offsets of partitions, asked by tools and at take-overs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final, TypeVar

from confluent_kafka import OFFSET_END, Consumer, KafkaError, KafkaException, TopicPartition

from pushcast.model.errors import PushcastError

T = TypeVar("T")
Spot = tuple[str, int]  # topic, partition
TIMEOUT_SECONDS: Final = 15.0
#: What a client answers that has kept leaders, or the want of one, from while brokers were away.
STALE: Final = frozenset(
    {
        KafkaError._UNKNOWN_PARTITION,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.FENCED_LEADER_EPOCH,
        KafkaError.UNKNOWN_LEADER_EPOCH,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
    }
)


def watermarks(
    consumer: Consumer, topic: str, partition: int, timeout_seconds: float = TIMEOUT_SECONDS
) -> tuple[int, int]:
    """First offset that is there, and the next one to be written. Blocks, for up to three times the timeout when the
    client has to find the leader; raises PushcastError without an answer."""
    at = TopicPartition(topic, partition)
    try:
        found = _with_leaders(
            consumer, topic, timeout_seconds, lambda: consumer.get_watermark_offsets(at, timeout=timeout_seconds)
        )
    except KafkaException as error:
        raise PushcastError(f"{topic}[{partition}]: {error.args[0].str()}") from error
    if found is None:
        raise PushcastError(f"no answer from Kafka about {topic} within {timeout_seconds:.0f} s")
    return int(found[0]), int(found[1])


def ends(
    consumer: Consumer, topic: str, partitions: Iterable[int], timeout_seconds: float, which: int = OFFSET_END
) -> dict[int, int]:
    """The next offset to be written of each partition, asked for together; with OFFSET_BEGINNING the first that is
    there. Blocks and raises as `watermarks` does."""
    found = _list_offsets(consumer, topic, dict.fromkeys(partitions, which), timeout_seconds)
    if any(offset < 0 for offset in found.values()):
        raise PushcastError(f"no answer from Kafka about {topic} within {timeout_seconds:.0f} s")
    return found


def since(
    consumer: Consumer, times_ms: Mapping[Spot, int], timeout_seconds: float = TIMEOUT_SECONDS
) -> dict[Spot, int]:
    """In each partition, the first offset written at its time of `times_ms` (milliseconds since the epoch) or later.

    Where there is none, it is the end: nothing is written before it from now on.

    Blocks and raises as `watermarks` does, for each topic. The ends are asked for first: Kafka answers with no number
    where every record is older, and what is written between that answer and a question for the end would be passed by.
    """
    by_topic: dict[str, dict[int, int]] = {}
    for (topic, partition), at_ms in times_ms.items():
        by_topic.setdefault(topic, {})[partition] = at_ms
    first: dict[Spot, int] = {}
    for topic, wanted in by_topic.items():
        before = ends(consumer, topic, wanted, timeout_seconds)
        for partition, offset in _list_offsets(consumer, topic, wanted, timeout_seconds).items():
            first[topic, partition] = offset if offset >= 0 else before[partition]
    return first


def _list_offsets(consumer: Consumer, topic: str, wanted: Mapping[int, int], timeout_seconds: float) -> dict[int, int]:
    try:
        return listed(consumer, topic, wanted, timeout_seconds)
    except KafkaException as error:
        raise PushcastError(f"{topic}: {error.args[0].str()}") from error


def listed(consumer: Consumer, topic: str, wanted: Mapping[int, int], timeout_seconds: float) -> dict[int, int]:
    """Of each partition the first offset of its time or later, -1 where all is older; OFFSET_BEGINNING and OFFSET_END
    may stand for a time. Blocks as `watermarks` does; raises KafkaException without an answer."""
    asked = [TopicPartition(topic, partition, at) for partition, at in wanted.items()]
    if not asked:
        return {}

    def ask() -> list[TopicPartition]:
        found = consumer.offsets_for_times(asked, timeout=timeout_seconds)
        for each in found:
            if each.error is not None:
                raise KafkaException(each.error)
        return found

    return {each.partition: each.offset for each in _with_leaders(consumer, topic, timeout_seconds, ask)}


def _with_leaders(consumer: Consumer, topic: str, timeout_seconds: float, ask: Callable[[], T]) -> T:
    """librdkafka 2.16 asks nobody again about a partition that had no leader when it last heard of it: after brokers
    were away, or a topic was just made, a client refused for minutes what a new one was told at once."""
    try:
        return ask()
    except KafkaException as error:
        if error.args[0].code() not in STALE:
            raise
        consumer.list_topics(topic, timeout=timeout_seconds)
        return ask()
