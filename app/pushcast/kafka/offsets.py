"""Questions about the offsets of partitions, asked by tools."""

from __future__ import annotations

from typing import Final

from confluent_kafka import Consumer, KafkaException, TopicPartition

from pushcast.model.errors import PushcastError

TIMEOUT_SECONDS: Final = 15.0


def watermarks(consumer: Consumer, topic: str, partition: int) -> tuple[int, int]:
    """First offset that is there, and the next one to be written. Blocks; raises PushcastError without an answer."""
    try:
        found = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=TIMEOUT_SECONDS)
    except KafkaException as error:
        raise PushcastError(f"{topic}[{partition}]: {error.args[0].str()}") from error
    if found is None:
        raise PushcastError(f"no answer from Kafka about {topic} within {TIMEOUT_SECONDS:.0f} s")
    return int(found[0]), int(found[1])
