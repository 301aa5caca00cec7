"""Where a consumer group stands, asked again and again beside the event loop by somebody who is no member."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

from confluent_kafka import Consumer, KafkaException, TopicPartition

from pushcast.config.security import KafkaSecurity
from pushcast.kafka.clients import client_config, open_consumer

_ANSWER_SECONDS: Final = 15.0


class GroupOffsets:
    """Groups of one topic each, `groups`: by a name of the caller's, the group and its topic. Connects when asked."""

    def __init__(
        self, bootstrap_servers: str, security: KafkaSecurity | None, groups: Mapping[str, tuple[str, str]]
    ) -> None:
        self._client = client_config(bootstrap_servers, security)
        self._groups = dict(groups)
        # Not an admin client: librdkafka 2.16 was seen to abort in one while its only broker was away. These consumers
        # subscribe to nothing, so they join no group.
        self._consumers: dict[str, Consumer] = {}

    async def committed(self, partitions: list[int]) -> dict[int, dict[str, int]]:
        """By partition and name: the committed offset; without those that never committed. Raises ConnectionError."""
        try:
            return await asyncio.to_thread(self._ask, partitions)
        except KafkaException as error:
            raise ConnectionError(f"offsets of groups: {error.args[0].str()}") from error

    def _ask(self, partitions: list[int]) -> dict[int, dict[str, int]]:
        found: dict[int, dict[str, int]] = {}
        for name, (group, topic) in self._groups.items():
            consumer = self._consumers.get(group)
            if consumer is None:
                consumer = self._consumers[group] = open_consumer(self._client, group)
            asked = [TopicPartition(topic, partition) for partition in partitions]
            for at in consumer.committed(asked, timeout=_ANSWER_SECONDS):
                if at.error is not None:
                    raise KafkaException(at.error)
                if at.offset >= 0:
                    found.setdefault(at.partition, {})[name] = at.offset
        return found
