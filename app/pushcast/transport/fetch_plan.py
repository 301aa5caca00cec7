"""What a consumer asks its brokers for, round by round: aiokafka's own plan, and what it does not know of us."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol

from aiokafka.errors import TopicAuthorizationFailedError
from faust.types import TP

from pushcast.transport.gathered import GatheredTopics
from pushcast.transport.jumps import Jumps, KnownPartition
from pushcast.transport.records import fetched_bytes, refused

#: Long-poll of a fetch that leaves paused partitions out, and of those while tables recover.
SHORT_FETCH_MAX_WAIT_MS: Final = 50

#: Of each partition in one answer while tables recover, and of all: the next request goes when all of it was taken, so
#: what is fetched and what is applied come by turns.
RECOVERY_PARTITION_BYTES: Final = 1 << 20
RECOVERY_BYTES: Final = 8 << 20


class FetchWishes(Protocol):
    """The consumer that is fetched for (`consumer.BatchConsumer`). Asked from its thread."""

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

    def tails(self) -> Mapping[TP, int]:
        """Next offset to be applied of each table that is up to date."""


class _Turn(NamedTuple):
    """Of an assignment what is asked for now."""

    tps: Sequence[Any]
    state_value: Callable[[Any], Any]


def recovery_bytes(partitions: int) -> int:
    """How much of each is fetched at a time while tables with so many partitions recover."""
    return min(RECOVERY_PARTITION_BYTES, RECOVERY_BYTES // max(1, partitions))


class FetchPlan:
    """In place of one fetcher's own plan, from when it is made.

    aiokafka holds all fetches of a broker back (`prefetch_backoff`) while records of one partition wait to be taken, up
    to 100 ms; those of a paused partition wait on purpose. They stay fetched, so the next requests go without the
    partition, and must be short: when it resumes, it waits for the request under way.
    """

    def __init__(self, fetcher: Any, asker: FetchWishes, jumps: Jumps) -> None:
        self._fetcher = fetcher
        self._asker = asker
        self._jumps = jumps
        self._plan: Callable[[Any], Any] = fetcher._get_actions_per_node
        self._usual_bytes = fetcher._max_partition_fetch_bytes
        self._gathered = GatheredTopics(asker.gathered, time.monotonic)
        fetcher._get_actions_per_node = self.actions
        self._set_error: Callable[[Any, Exception], None] = fetcher._set_error
        fetcher._set_error = self._refused

    def actions(self, assignment: Any) -> Any:
        """As aiokafka has them: requests by broker, and what else is to be done and waited for."""
        fetcher, asker = self._fetcher, self._asker
        fetcher._fetch_max_wait_ms = asker.fetch_max_wait_ms
        fetcher._max_partition_fetch_bytes = self._usual_bytes
        if asker.recovering:
            wanted = sum(map(asker.wants, assignment.tps))
            fetcher._max_partition_fetch_bytes = max(self._usual_bytes, recovery_bytes(wanted))
            # What is asked next waits behind the fetch that finds nothing more, on one connection: half a second.
            fetcher._fetch_max_wait_ms = min(SHORT_FETCH_MAX_WAIT_MS, asker.fetch_max_wait_ms)
        self._put_first()
        self._jumps.suspect(assignment, asker.partitions, asker.tails())
        for tp, result in fetcher._records.items():
            if not asker.wants(tp):
                result._backoff = 0
                fetcher._fetch_max_wait_ms = min(SHORT_FETCH_MAX_WAIT_MS, asker.fetch_max_wait_ms)
        in_turn = self._gathered.names and not asker.recovering
        return self._in_turn(assignment) if in_turn else self._plan(assignment)

    def _refused(self, tp: Any, error: Exception) -> None:
        """A topic that this process may not read stands by itself. Other errors aiokafka raises out of the fetch."""
        assignment = self._fetcher._subscriptions.subscription.assignment
        if assignment is None or not isinstance(error, TopicAuthorizationFailedError):
            self._set_error(tp, error)
        else:
            self._fetcher._records[tp] = refused(tp, assignment, error)

    def _put_first(self) -> None:
        """Of what was fetched, records of stages before rows of tables and what is gathered: they are handed out in
        this order, some hundreds at a time."""
        fetched, mine, gathered = self._fetcher._records, self._asker.partitions, self._gathered.names
        if len(fetched) > 1:
            for tp in [tp for tp in fetched if tp in mine and tp.topic not in gathered]:
                fetched.move_to_end(tp, last=False)

    def _in_turn(self, assignment: Any) -> Any:
        """Leaves topics out whose turn it is not, of brokers that are asked for others; such requests are short."""
        gathered, broker_of = self._gathered, self._fetcher._select_read_replica
        for tp, result in self._fetcher._records.items():
            if tp.topic in gathered.names and 2 * fetched_bytes(result) >= self._usual_bytes:
                gathered.has_more(broker_of(tp))
        prompt: list[Any] = []
        late: list[Any] = []
        for tp in assignment.tps:
            (late if tp.topic in gathered.names else prompt).append(tp)
        left = gathered.left_seconds({broker_of(tp) for tp in prompt})
        if left:
            assignment = _Turn(prompt + [tp for tp in late if broker_of(tp) not in left], assignment.state_value)
        requests, resets, timeout_seconds, *rest = self._plan(assignment)
        for broker, request in requests:
            if broker in left:
                request._max_wait_ms = min(request._max_wait_ms, math.ceil(left[broker] * 1000))
            else:
                gathered.asked(broker)
        return requests, resets, min([timeout_seconds, *left.values()]), *rest
