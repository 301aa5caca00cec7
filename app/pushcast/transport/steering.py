"""What aiokafka's fetcher asks a broker for: no more than is wanted now, and what nobody waits for a little later."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any, Protocol

from faust.types import TP

from pushcast.transport.fetch_client import FetchClient
from pushcast.transport.gathered import GatheredTopics
from pushcast.transport.jumps import Jumps, KnownPartition

#: Long-poll of a fetch that leaves paused partitions out.
PAUSED_FETCH_MAX_WAIT_MS = 50

#: Of each partition in one answer while tables recover, and of all: the next request goes when all of it was taken, so
#: what is fetched and what is applied come by turns.
RECOVERY_PARTITION_BYTES = 1 << 20
RECOVERY_BYTES = 8 << 20


class Steered(Protocol):
    """What the consumer wants of its fetches. Asked from the consumer's thread."""

    @property
    def partitions(self) -> Mapping[TP, KnownPartition]:
        """Those with a worker. Asked from the thread while the loop may change it."""

    @property
    def fetch_max_wait_ms(self) -> int:
        """How long a broker may hold a fetch back that has nothing to bring."""

    @property
    def gathered(self) -> Collection[str]:
        """Topics whose records nobody waits for."""

    @property
    def recovering(self) -> bool:
        """Whether tables come to the end of their topics, and nothing else is taken meanwhile."""

    def wants(self, tp: TP) -> bool:
        """Whether records of the partition may be taken now."""


def recovery_bytes(partitions: int) -> int:
    """How much of each is fetched at a time while tables with so many partitions recover."""
    return min(RECOVERY_PARTITION_BYTES, RECOVERY_BYTES // max(1, partitions))


def steer(fetcher: Any, wanted: Steered, jumps: Jumps) -> None:
    """Lets aiokafka's fetcher plan its requests by what is wanted. Once for each fetcher, on its thread.

    Without this, one full partition delays every other one by up to 100 ms: aiokafka holds all fetches of a broker back
    (`prefetch_backoff`) while records of one partition wait to be taken; those of a paused partition wait on purpose.
    They stay fetched, so the next requests go without the partition, and must be short: when it resumes, it waits for
    the request under way.
    """
    plan: Callable[[Any], Any] = fetcher._get_actions_per_node
    wants, usual_bytes = wanted.wants, fetcher._max_partition_fetch_bytes
    client = fetcher._client = FetchClient(fetcher._client)
    gathered = GatheredTopics(wanted.gathered, time.monotonic)

    def actions(assignment: Any) -> Any:
        client.follow(assignment)
        fetcher._fetch_max_wait_ms = wanted.fetch_max_wait_ms
        fetcher._max_partition_fetch_bytes = usual_bytes
        if wanted.recovering:
            many = sum(map(wants, assignment.tps))
            fetcher._max_partition_fetch_bytes = max(usual_bytes, recovery_bytes(many))
        jumps.suspect(assignment, wanted.partitions)
        for tp, result in fetcher._records.items():
            if not wants(tp):
                result._backoff = 0
                fetcher._fetch_max_wait_ms = min(PAUSED_FETCH_MAX_WAIT_MS, wanted.fetch_max_wait_ms)
        planned = plan(assignment)
        planned[0][:] = [(node, _now_asked(gathered, node, request)) for node, request in planned[0]]
        return planned

    fetcher._get_actions_per_node = actions


def _now_asked(gathered: GatheredTopics, node_id: Any, request: Any) -> Any:
    """The request without topics whose turn it is not, and then a short one."""
    fewer = gathered.left_out(node_id, request.topics)
    if fewer is not None:
        request._topics, seconds = fewer
        request._max_wait_ms = min(request._max_wait_ms, math.ceil(seconds * 1000))
    return request
