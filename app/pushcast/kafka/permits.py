"""What a process may write, asked without writing anything."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any, Final

from confluent_kafka import KafkaException, TopicCollection

from pushcast.config.security import KafkaSecurity
from pushcast.kafka import clients
from pushcast.kafka.refusals import OF_A_PLACE, OutputPlace

TIMEOUT_SECONDS: Final = 10.0
_WRITES: Final = frozenset({"WRITE", "ALL"})


class Permits:
    """Asks brokers about topics. Connects when it is first asked."""

    def __init__(self, bootstrap_servers: str, security: KafkaSecurity | None = None) -> None:
        self._client = clients.client_config(bootstrap_servers, security)

    async def refused(self, topics: Iterable[str], partitions: Sequence[int]) -> dict[OutputPlace, str]:
        """Places that would be refused now, and why: no permission, no such topic or partition.

        A partition without a leader is among them: what is put there waits, and so does its marker. Where nobody says
        what is allowed, everything is. Raises ConnectionError when no broker answers.
        """
        admin = clients.open_admin(self._client)
        asked = admin.describe_topics(
            TopicCollection(list(topics)), include_authorized_operations=True, request_timeout=TIMEOUT_SECONDS
        )
        found: dict[OutputPlace, str] = {}
        for topic, future in asked.items():
            try:
                described = await asyncio.wrap_future(future)
            except KafkaException as exc:
                error = exc.args[0]
                if error.code() not in OF_A_PLACE:
                    raise ConnectionError(f"{topic}: {error.str()}") from exc
                found.update({OutputPlace(topic, partition): error.str() for partition in partitions})
                continue
            found.update(
                {OutputPlace(topic, each): why for each in partitions if (why := _why(described, each)) is not None}
            )
        return found


def _why(described: Any, partition: int) -> str | None:
    operations = described.authorized_operations
    if operations and _WRITES.isdisjoint(operation.name for operation in operations):
        return "this process may not WRITE there"
    found = next((each for each in described.partitions if each.id == partition), None)
    if found is None:
        return "there is no such partition"
    return "no broker leads it" if found.leader is None or not found.isr else None
