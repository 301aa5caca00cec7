"""Looks after the topics of a process: one that is deleted and made again is another log under the same name."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from pushcast.kafka.topics.errors import ClusterUnavailable
from pushcast.kafka.topics.facts import ClusterFacts, cluster_facts

logger = logging.getLogger(__name__)

#: Clients learn of a topic made anew with their metadata, after five minutes; this asks more often.
INTERVAL_SECONDS: Final = 10.0


class TopicWatch:
    """Asks for the topics' ids on a thread, and calls `on_anew(topic)` for one with another id than at the start."""

    def __init__(
        self,
        client: Mapping[str, Any],
        at_start: ClusterFacts,
        topics: Sequence[str],
        on_anew: Callable[[str], Awaitable[None]],
        *,
        interval_seconds: float = INTERVAL_SECONDS,
        ask: Callable[[Mapping[str, Any], Sequence[str]], ClusterFacts] = cluster_facts,
    ) -> None:
        self._client = client
        self._known = {topic: log_id for topic in topics if (log_id := at_start.log_id(topic)) is not None}
        self._on_anew = on_anew
        self._interval_seconds = interval_seconds
        self._ask = ask
        self._gone: dict[str, str] = {}  # topic: since when
        self._counts = {topic: at_start.topics[topic].partitions for topic in self._known}
        self._grown: dict[str, int] = {}  # topic: partitions that it has by now

    def problems(self) -> list[str]:
        """Topics that are not there; for /health/ready."""
        return [f"{topic} does not exist since {since}: it was deleted" for topic, since in self._gone.items()]

    def degraded(self) -> list[str]:
        """Topics that have more partitions than at the start; for the body of /health/ready."""
        return [
            f"{topic} has {count} partitions by now: what is written to those from {self._counts[topic]} on is not "
            "read, and the next start is refused (docs/operations.md)"
            for topic, count in self._grown.items()
        ]

    async def run(self) -> None:
        """Until it is cancelled. A cluster that does not answer is asked again."""
        while self._known:
            await asyncio.sleep(self._interval_seconds)
            try:
                facts = await asyncio.to_thread(self._ask, self._client, list(self._known))
            except ClusterUnavailable as error:
                logger.debug("topics are not looked after: %s", error)
                continue
            await self._compare(facts)

    async def _compare(self, facts: ClusterFacts) -> None:
        for topic, known in self._known.items():
            now = facts.log_id(topic)
            if now is None:
                if topic not in self._gone:
                    self._gone[topic] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
                    logger.error("%s was deleted; what comes after it is taken up when it is made again", topic)
                continue
            self._gone.pop(topic, None)
            count = facts.topics[topic].partitions
            if count > self._counts[topic] and self._grown.get(topic) != count:
                self._grown[topic] = count
                logger.error("%s", self.degraded()[-1])
            if now != known:
                await self._on_anew(topic)
