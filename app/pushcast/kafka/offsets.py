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
#: What is said of topics that the cluster does not have (yet), and of their partitions.
ABSENT: Final = frozenset(
    {KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_PARTITION, KafkaError._UNKNOWN_TOPIC, KafkaError._NOENT}
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
            ((topic, partition),),
            timeout_seconds,
            lambda _: consumer.get_watermark_offsets(at, timeout=timeout_seconds),
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
    found = ends_of(consumer, [(topic, partition) for partition in partitions], timeout_seconds, which)
    return {partition: offset for (_, partition), offset in found.items()}


def ends_of(
    consumer: Consumer, spots: Iterable[Spot], timeout_seconds: float, which: int = OFFSET_END
) -> dict[Spot, int]:
    """`ends` of partitions of several topics, in one question."""
    found = _listed_or_failed(consumer, dict.fromkeys(spots, which), timeout_seconds)
    if any(offset < 0 for offset in found.values()):
        first = min(topic for topic, _ in found)
        raise PushcastError(f"no answer from Kafka about {first} within {timeout_seconds:.0f} s")
    return found


def since(
    consumer: Consumer, times_ms: Mapping[Spot, int], timeout_seconds: float = TIMEOUT_SECONDS
) -> dict[Spot, int]:
    """In each partition, the first offset written at its time of `times_ms` (milliseconds since the epoch) or later.

    Where there is none, it is the end: nothing is written before it from now on.

    Blocks and raises as `watermarks` does. The ends are asked for first: Kafka answers with no number where every
    record is older, and what is written between that answer and a question for the end would be passed by.
    """
    before = _listed_or_failed(consumer, dict.fromkeys(times_ms, OFFSET_END), timeout_seconds)
    first = _listed_or_failed(consumer, times_ms, timeout_seconds)
    return {spot: offset if offset >= 0 else before[spot] for spot, offset in first.items()}


def _listed_or_failed(consumer: Consumer, wanted: Mapping[Spot, int], timeout_seconds: float) -> dict[Spot, int]:
    try:
        return listed(consumer, wanted, timeout_seconds)
    except KafkaException as error:
        first = min(topic for topic, _ in wanted)
        raise PushcastError(f"{first}: {error.args[0].str()}") from error


def listed(
    consumer: Consumer, wanted: Mapping[Spot, int], timeout_seconds: float, *, leave_out_absent: bool = False
) -> dict[Spot, int]:
    """Of each partition the first offset of its time or later, -1 where all is older; OFFSET_BEGINNING and OFFSET_END
    may stand for a time. One question for all topics. `leave_out_absent`: of partitions that do not exist nothing is
    said. Blocks as `watermarks` does; raises KafkaException without an answer, also for one of them."""

    def ask(spots: Collection[Spot]) -> dict[Spot, int]:
        if not spots:
            return {}
        found = consumer.offsets_for_times(
            [TopicPartition(*spot, wanted[spot]) for spot in spots], timeout=timeout_seconds
        )
        for each in found:
            if each.error is not None:
                raise KafkaException(each.error)
        return {(each.topic, each.partition): each.offset for each in found}

    return _with_leaders(consumer, wanted, timeout_seconds, ask, leave_out_absent) if wanted else {}


def _with_leaders(
    consumer: Consumer,
    spots: Collection[Spot],
    timeout_seconds: float,
    ask: Callable[[Collection[Spot]], T],
    leave_out_absent: bool = False,
) -> T:
    """What `ask` says of these partitions. Every question to a consumer about offsets goes through here.

    librdkafka 2.16 looks for leaders by itself, but not enough: about a partition that had no leader when it last heard
    of it, it asked nobody again for minutes after brokers were away. So it is asked when it has just heard of all.
    """
    try:
        return ask(_await_leaders(consumer, spots, timeout_seconds, leave_out_absent))
    except KafkaException as error:
        if error.args[0].code() not in STALE:
            raise
        return ask(_await_leaders(consumer, spots, timeout_seconds, leave_out_absent))


def _await_leaders(
    consumer: Consumer, spots: Collection[Spot], timeout_seconds: float, leave_out_absent: bool
) -> list[Spot]:
    """Those that have a leader: all of them, or all that exist. Raises KafkaException for another."""
    deadline = time.monotonic() + timeout_seconds
    names = {topic for topic, _ in spots}
    [only] = names if len(names) == 1 else [None]
    while True:
        cluster: ClusterMetadata = consumer.list_topics(only, timeout=timeout_seconds)
        why = {spot: _missing(cluster, spot) for spot in spots}
        missing = [error for error in why.values() if error is not None]
        if leave_out_absent:
            missing = [error for error in missing if error.code() not in ABSENT]
        if not missing:
            return [spot for spot, error in why.items() if error is None]
        if missing[0].code() != KafkaError.LEADER_NOT_AVAILABLE or time.monotonic() >= deadline:
            raise KafkaException(missing[0])
        time.sleep(LEADERLESS_PAUSE_SECONDS)


def _missing(cluster: ClusterMetadata, spot: Spot) -> KafkaError | None:
    """Why this partition cannot be asked about; None when it has a leader."""
    topic, partition = spot
    found = cluster.topics.get(topic)
    if found is None:
        return KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART, f"there is no topic {topic}")
    if found.error is not None:
        return found.error
    at = found.partitions.get(partition)
    if at is None:
        return KafkaError(KafkaError._UNKNOWN_PARTITION, f"{topic} has no partition {partition}")
    if at.leader not in cluster.brokers:
        return KafkaError(KafkaError.LEADER_NOT_AVAILABLE, f"{topic}[{partition}] has no leader")
    return None
