"""How far consumer groups have come and who belongs to them, asked by somebody who is no member.

They are asked through aiokafka. An admin client of librdkafka 2.16 aborts its process
(`rd_kafka_enq_once_del_source_return`) when its question about a group is under way while brokers go and come back: in
8 of 12 such losses of a cluster of three, of `describe_consumer_groups` and of `list_consumer_group_offsets` alike; a
consumer's questions about logs and `describe_topics` in none (tests/flow/test_broker_outage.py has a small one). A role
must not die of a look at a group.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Mapping
from concurrent.futures import Future
from typing import Any, Final, NamedTuple, Protocol, TypeVar

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import AuthenticationFailedError, KafkaConnectionError, for_code
from aiokafka.errors import KafkaError as AioKafkaError
from aiokafka.protocol.admin import DescribeGroupsRequest
from aiokafka.protocol.commit import OffsetFetchRequest
from aiokafka.protocol.coordination import FindCoordinatorRequest
from confluent_kafka import KafkaError, KafkaException

from pushcast.kafka.offsets import TIMEOUT_SECONDS, Spot

T = TypeVar("T")

#: Between two tries with a coordinator that is loading its groups, or a broker that is away.
PAUSE_SECONDS: Final = 0.2
#: A connection serves questions that follow each other so closely; then it is closed and its thread ends.
IDLE_SECONDS: Final = 5.0
#: Kafka's words for two states of a group, in those that librdkafka has for them.
_STATES: Final = {"preparingrebalance": "preparing_rebalancing", "completingrebalance": "completing_rebalancing"}


class Commit(NamedTuple):
    """What a group committed of one partition."""

    offset: int
    metadata: str


class Members(NamedTuple):
    """Of one consumer group."""

    state: str  # as Kafka has it, in small letters: stable, empty, dead, …
    alive: int


class Brokers(Protocol):
    """What it needs of `AIOKafkaClient`."""

    def get_random_node(self) -> Any: ...
    async def send(self, node_id: Any, request: Any, /) -> Any: ...
    async def close(self) -> None: ...


class GroupQuestions:
    """Questions to one cluster. They block, for up to 15 s; any thread may ask, also one whose event loop runs.

    Each raises KafkaException without an answer. While a coordinator loads, or brokers are away, it asks again.
    """

    def __init__(self, connect: Callable[[], Awaitable[Brokers]]) -> None:
        """`connect`: see `connecting`. It is called when there is something to ask, on a thread of this object's."""
        self._connect = connect
        self._lock = threading.Lock()
        self._line: queue.SimpleQueue[tuple[Callable[[GroupLink], Awaitable[Any]], Future[Any]]] | None = None

    def commits(self, wanted: Mapping[str, Collection[Spot]]) -> dict[str, dict[Spot, Commit]]:
        """By group, what it committed of the partitions that are wanted of it. Those without are left out."""

        async def ask(link: GroupLink) -> dict[str, dict[Spot, Commit]]:
            return {group: await link.commits(group, spots) for group, spots in wanted.items()}

        return self._ask(wanted, ask)

    def members(self, groups: Collection[str]) -> dict[str, Members]:
        """State and members of each group; one that the cluster does not know is dead."""

        async def ask(link: GroupLink) -> dict[str, Members]:
            return {group: await link.members(group) for group in groups}

        return self._ask(groups, ask)

    def _ask(self, groups: Collection[str], question: Callable[[GroupLink], Awaitable[T]]) -> T:
        answer = Future[T]()
        with self._lock:
            if self._line is None:
                self._line = queue.SimpleQueue()
                threading.Thread(target=self._serve, args=(self._line,), name="groups", daemon=True).start()
            self._line.put((question, answer))
        try:
            return answer.result()
        except AioKafkaError as error:
            raise KafkaException(_confluent(error, groups)) from error

    def _serve(self, line: queue.SimpleQueue[Any]) -> None:
        link = GroupLink(self._connect)
        with asyncio.Runner() as runner:
            while True:
                try:
                    question, answer = line.get(timeout=IDLE_SECONDS)
                except queue.Empty:
                    with self._lock:
                        if not line.empty():
                            continue
                        self._line = None
                    runner.run(link.close())
                    return
                try:
                    answer.set_result(runner.run(_patiently(link, question)))
                except BaseException as error:
                    answer.set_exception(error)


class GroupLink:
    """One connection to the cluster, and whom it found to lead which group. Used on one loop.

    Its questions raise aiokafka's KafkaError, or OSError: what a broker says that is away or loading, among others."""

    def __init__(self, connect: Callable[[], Awaitable[Brokers]]) -> None:
        self._connect = connect
        self._brokers: Brokers | None = None
        self._leads: dict[str, Any] = {}

    async def commits(self, group: str, spots: Collection[Spot]) -> dict[Spot, Commit]:
        """What it committed of these partitions; those without are left out."""
        by_topic: defaultdict[str, list[int]] = defaultdict(list)
        for topic, partition in spots:
            by_topic[topic].append(partition)
        if not by_topic:
            return {}
        answer = await self._send(await self._coordinator(group), OffsetFetchRequest(group, list(by_topic.items())))
        if answer.error_code == KafkaError.GROUP_ID_NOT_FOUND:
            return {}
        _raise_for(answer.error_code)
        return {
            (topic, partition): Commit(offset, metadata or "")
            for topic, partitions in answer.topics
            for partition, offset, metadata, code in partitions
            if code == 0 and offset >= 0
        }

    async def members(self, group: str) -> Members:
        """State and members; one that the cluster does not know is dead."""
        # One group a question: aiokafka 0.14 reads an answer of version 3 as one of version 2, with shorter groups.
        answer = await self._send(await self._coordinator(group), DescribeGroupsRequest([group]))
        code, _, state, _, _, members, *_ = answer.groups[0]
        if code == KafkaError.GROUP_ID_NOT_FOUND:
            return Members("dead", 0)
        _raise_for(code)
        name = state.lower()
        return Members(_STATES.get(name, name), len(members))

    async def close(self) -> None:
        """It is connected again when it is asked again."""
        brokers, self._brokers, self._leads = self._brokers, None, {}
        if brokers is not None:
            await brokers.close()

    async def _coordinator(self, group: str) -> Any:
        if group not in self._leads:
            answer = await self._send(None, FindCoordinatorRequest(group, 0))
            _raise_for(answer.error_code)
            self._leads[group] = answer.coordinator_id
        return self._leads[group]

    async def _send(self, node: Any, request: object) -> Any:
        if self._brokers is None:
            self._brokers = await self._connect()
        return await self._brokers.send(self._brokers.get_random_node() if node is None else node, request)


async def _patiently(link: GroupLink, question: Callable[[GroupLink], Awaitable[T]]) -> T:
    """Asks again, with a new connection, until there is an answer or none can be expected any more."""
    last: AioKafkaError | None = None
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while True:
                try:
                    return await question(link)
                except (AioKafkaError, OSError) as error:
                    await link.close()
                    last = error if isinstance(error, AioKafkaError) else KafkaConnectionError(str(error))
                    if not last.retriable:
                        raise last from error
                    await asyncio.sleep(PAUSE_SECONDS)
    except TimeoutError:
        await link.close()
        raise _Silent(last) from last


class _Silent(AioKafkaError):
    """No answer in time. `last`: what was said instead, if anything was."""

    def __init__(self, last: AioKafkaError | None) -> None:
        super().__init__(str(last or "no answer"))
        self.code = getattr(last, "errno", None) or KafkaError._TIMED_OUT


def _raise_for(code: int) -> None:
    if code:
        raise for_code(code)()


def _confluent(error: AioKafkaError, groups: Collection[str]) -> KafkaError:
    """The same in the words of confluent-kafka, which callers know."""
    if isinstance(error, _Silent):
        text = (
            f"the coordinator of {_few(groups)} does not answer within {TIMEOUT_SECONDS:.0f} s: "
            f"a broker that was just started loads its groups first ({error})"
        )
        return KafkaError(error.code, text)
    known = KafkaError._AUTHENTICATION if isinstance(error, AuthenticationFailedError) else KafkaError._FAIL
    return KafkaError(getattr(error, "errno", None) or known, f"{_few(groups)}: {error}")


def _few(groups: Collection[str]) -> str:
    first, more = min(groups), len(groups) - 1
    return f"group {first}" + (f" and {more} more" if more else "")


def connecting(settings: Mapping[str, Any]) -> Callable[[], Awaitable[Brokers]]:
    """`settings`: from `kafka.security.aiokafka_config`."""

    async def connect() -> Brokers:
        client: Any = AIOKafkaClient(  # type: ignore[no-untyped-call]
            **settings, client_id="pushcast-groups", request_timeout_ms=round(TIMEOUT_SECONDS * 1000)
        )
        try:
            await client.bootstrap()
        except BaseException:
            await client.close()
            raise
        return client  # type: ignore[no-any-return]

    return connect
