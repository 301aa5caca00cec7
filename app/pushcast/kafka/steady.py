"""Whether a cluster is whole enough for an admin client to ask it: looked at before each question.

librdkafka 2.16 was seen to abort the process in an admin client while a broker was away or a partition had no leader,
and for some seconds after brokers had come back. A role must not die of a look at somebody else's lag, so it does
without figures meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from pushcast.kafka.offsets import TIMEOUT_SECONDS
from pushcast.kafka.reach import Unreachable, require_broker

#: Coordinators of groups are leaders of its partitions.
_OURS: Final = ("push.", "__consumer_offsets")
#: Without another change of leaders, until the brokers agree about them.
CALM_SECONDS: Final = 10.0
#: So long an answer holds: a look asks many questions in a row.
HOLDS_SECONDS: Final = 1.0
_TRY_SECONDS: Final = 1.0


class Steady:
    """Asks by metadata and TCP, which abort nothing. `now`: monotonic seconds. Blocks; one thread at a time."""

    def __init__(self, admin: AdminClient, now: Callable[[], float] = time.monotonic) -> None:
        self._admin = admin
        self._now = now
        self._held_until = 0.0
        self._leaders: dict[tuple[str, int], int] | None = None  # none before the first look
        self._calm_at = 0.0

    def require(self) -> None:
        """Raises KafkaException when a broker that is listed does not answer, or a partition has no leader, or leaders
        changed a moment ago."""
        if self._now() < self._held_until:
            return
        try:
            found = self._admin.list_topics(timeout=TIMEOUT_SECONDS)
            self._require_whole(found)
        except KafkaException:
            self._calm_at = self._now() + CALM_SECONDS
            raise
        topics = {name: topic.partitions for name, topic in found.topics.items() if name.startswith(_OURS)}
        leaders = {(name, number): at.leader for name, parts in topics.items() for number, at in parts.items()}
        before, self._leaders = self._leaders, leaders
        if before is not None and any(leaders.get(spot, leader) != leader for spot, leader in before.items()):
            self._calm_at = self._now() + CALM_SECONDS
        if self._now() < self._calm_at:
            raise KafkaException(
                KafkaError(KafkaError.LEADER_NOT_AVAILABLE, f"leaders changed less than {CALM_SECONDS:.0f} s ago")
            )
        self._held_until = self._now() + HOLDS_SECONDS

    @staticmethod
    def _require_whole(found: Any) -> None:
        for name, topic in found.topics.items():
            if name.startswith(_OURS) and any(at.leader not in found.brokers for at in topic.partitions.values()):
                raise KafkaException(
                    KafkaError(KafkaError.LEADER_NOT_AVAILABLE, f"a partition of {name} has no leader")
                )
        for broker in found.brokers.values():
            try:
                require_broker(f"{broker.host}:{broker.port}", _TRY_SECONDS)
            except Unreachable as error:
                raise KafkaException(KafkaError(KafkaError._TRANSPORT, str(error))) from error
