"""Where a consumer group stands, asked again and again beside the event loop by somebody who is no member."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from pushcast.config.security import KafkaSecurity
from pushcast.kafka.clients import client_config, open_admin
from pushcast.kafka.positions import Positions


class GroupOffsets:
    """Groups of one topic each, `groups`: by a name of the caller's, the group and its topic. Connects when asked."""

    def __init__(
        self, bootstrap_servers: str, security: KafkaSecurity | None, groups: Mapping[str, tuple[str, str]]
    ) -> None:
        self._client = client_config(bootstrap_servers, security)
        self._groups = dict(groups)
        self._admin: AdminClient | None = None

    async def committed(self, partitions: list[int]) -> dict[int, dict[str, int]]:
        """By partition and name: the committed offset; without those that never committed. Raises ConnectionError."""
        try:
            return await asyncio.to_thread(self._ask, partitions)
        except KafkaException as error:
            raise ConnectionError(f"offsets of groups: {error.args[0].str()}") from error

    def _ask(self, partitions: list[int]) -> dict[int, dict[str, int]]:
        if self._admin is None:
            self._admin = open_admin(self._client)
        positions, found = Positions(self._admin), dict[int, dict[str, int]]()
        for name, (group, topic) in self._groups.items():
            for (_, partition), offset in positions.committed(group, [(topic, each) for each in partitions]).items():
                found.setdefault(partition, {})[name] = offset
        return found
