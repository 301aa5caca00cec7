"""What a broker tells of one topic's leaders, as confluent-kafka gives it."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from confluent_kafka import KafkaError


def topic_with(topic: str, leaders: Sequence[int] = (1,) * 64, error: KafkaError | None = None) -> Any:
    """By partition; -1 is none. Of the brokers only number 1 is there."""
    partitions = {number: SimpleNamespace(leader=leader) for number, leader in enumerate(leaders)}
    return SimpleNamespace(topics={topic: SimpleNamespace(error=error, partitions=partitions)}, brokers={1: None})
