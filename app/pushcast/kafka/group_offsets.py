"""Where a consumer group stands, asked again and again beside the event loop by somebody who is no member."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from confluent_kafka import KafkaException

from pushcast.config.security import KafkaSecurity
from pushcast.config.settings import Kafka
from pushcast.kafka.clients import client_config
from pushcast.kafka.group_questions import GroupQuestions, connecting
from pushcast.kafka.security import aiokafka_config
from pushcast.model.words import Lane, Platform
from pushcast.wire import groups, topics


def senders_of(kafka: Kafka, lane: Lane, **more: tuple[str, str]) -> GroupOffsets:
    """Of a lane's senders, by platform. `more`: others, each a group and the topic that it reads."""
    found = {str(platform): (groups.send(platform, lane), topics.send(platform, lane)) for platform in Platform}
    return GroupOffsets(kafka.bootstrap_servers, kafka.security, found | more)


class GroupOffsets:
    """Groups of one topic each, `groups`: by a name of the caller's, the group and its topic. Connects when asked."""

    def __init__(
        self, bootstrap_servers: str, security: KafkaSecurity | None, groups: Mapping[str, tuple[str, str]]
    ) -> None:
        """Raises ConfigurationError for a certificate that cannot be used."""
        self._questions = GroupQuestions(connecting(aiokafka_config(client_config(bootstrap_servers, security))))
        self._groups = dict(groups)

    async def committed(self, partitions: list[int]) -> dict[int, dict[str, int]]:
        """By partition and name: the committed offset; without those that never committed. Raises ConnectionError."""
        try:
            return await asyncio.to_thread(self._ask, partitions)
        except KafkaException as error:
            raise ConnectionError(f"offsets of groups: {error.args[0].str()}") from error

    def _ask(self, partitions: list[int]) -> dict[int, dict[str, int]]:
        wanted = {group: [(topic, each) for each in partitions] for group, topic in self._groups.values()}
        answered = self._questions.commits(wanted)
        found: dict[int, dict[str, int]] = {}
        for name, (group, _) in self._groups.items():
            for (_, partition), commit in answered[group].items():
                found.setdefault(partition, {})[name] = commit.offset
        return found
