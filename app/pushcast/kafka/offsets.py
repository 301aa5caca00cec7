"""Questions about the offsets of partitions, asked by tools and at take-overs."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Final, TypeVar

from confluent_kafka import OFFSET_END, Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import ClusterMetadata

from pushcast.model.errors import PushcastError

T = TypeVar("T")
Spot = tuple[str, int]  # topic, partition
TIMEOUT_SECONDS: Final = 15.0
#: Between two looks for a leader: a topic that was just made has none for some milliseconds.
LEADERLESS_PAUSE_SECONDS: Final = 0.2
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
    """First offset that is there, and the next one to be written. Blocks, for up to three times the timeout when it
    has no leader; raises PushcastError without an answer."""
    at = TopicPartition(topic, partition)
    try:
        found = _with_leaders(
            consumer,
            topic,
            (partition,),
            timeout_seconds,
            lambda: consumer.get_watermark_offsets(at, timeout=timeout_seconds),
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

    return {each.partition: each.offset for each in _with_leaders(consumer, topic, wanted, timeout_seconds, ask)}


def _with_leaders(
    consumer: Consumer, topic: str, partitions: Collection[int], timeout_seconds: float, ask: Callable[[], T]
) -> T:
    """What `ask` says. Every question to a consumer about offsets goes through here.

    librdkafka 2.16 looks for leaders by itself, in two ways that do not do. About a partition that had no leader when
    it last heard of it, it asked nobody again for minutes after brokers were away. And where one has none, it waits for
    news of leaders in a way that aborts the process when there are some (`rd_kafka_enq_once_del_source_return`, seen in
    planners and settlers while two of three brokers were away). So it is asked when it has just heard of all leaders.
    """
    _await_leaders(consumer, topic, partitions, timeout_seconds)
    try:
        return ask()
    except KafkaException as error:
        if error.args[0].code() not in STALE:
            raise
        _await_leaders(consumer, topic, partitions, timeout_seconds)
        return ask()


def _await_leaders(consumer: Consumer, topic: str, partitions: Collection[int], timeout_seconds: float) -> None:
    deadline = time.monotonic() + timeout_seconds
    while True:
        missing = _missing(consumer.list_topics(topic, timeout=timeout_seconds), topic, partitions)
        if missing is None:
            return
        if missing.code() != KafkaError.LEADER_NOT_AVAILABLE or time.monotonic() >= deadline:
            raise KafkaException(missing)
        time.sleep(LEADERLESS_PAUSE_SECONDS)


def _missing(cluster: ClusterMetadata, topic: str, partitions: Collection[int]) -> KafkaError | None:
    """Why these partitions cannot be asked about; None when each has a leader."""
    found = cluster.topics[topic]
    if found.error is not None:
        return found.error
    for partition in partitions:
        at = found.partitions.get(partition)
        if at is None:
            return KafkaError(KafkaError._UNKNOWN_PARTITION, f"{topic} has no partition {partition}")
        if at.leader not in cluster.brokers:
            return KafkaError(KafkaError.LEADER_NOT_AVAILABLE, f"{topic}[{partition}] has no leader")
    return None
