"""The aiokafka consumer in its own thread, with commits that carry metadata and never crash the app."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Container, Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, cast

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import IllegalStateError, KafkaError
from aiokafka.structs import OffsetAndMetadata, TopicPartition
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread
from faust.types import TP

from pushcast.kafka.clients import ISOLATION_LEVEL
from pushcast.kafka.static_id import static_id
from pushcast.stream import batch
from pushcast.stream.batch import Committed
from pushcast.stream.tracker import Record
from pushcast.transport import fetch_wire, records
from pushcast.transport.errands import Errands
from pushcast.transport.fetch_plan import FetchPlan, FetchWishes
from pushcast.transport.jumps import Jump, Jumps
from pushcast.transport.membership import Membership, never_ends
from pushcast.transport.records import Unreadable

if TYPE_CHECKING:
    from faust.transport.drivers.aiokafka import Transport

logger = logging.getLogger(__name__)

#: A commit that takes longer is given up and made again with the next tick. On revocation one may be under way and one
#: follows, after at most half the rebalance timeout: together they stay below it.
COMMIT_TIMEOUT_SECONDS = 5.0

#: aiokafka asks for committed offsets until it has them. Below the request timeout, after which whoever waits gives up.
RESTORE_TIMEOUT_SECONDS = 30.0


class Fetched(NamedTuple):
    """Records by partition, and the assignment under which the consumer handed them out.

    `positions`: next offset to be fetched of partitions that had a worker before the fetch. Below it everything was
    handed out, with this fetch or an earlier one; transaction markers and aborted records are passed in silence.
    `held`: assigned partitions, those of tables too, that stand before an open transaction.
    `jumps`: positions that their log refused, and where it goes on.
    `unreadable`: partitions whose next bytes are no records; they stand there, and are fetched again.
    """

    lease: object | None
    records: Mapping[TP, list[Record]]
    positions: Mapping[TP, int]
    held: Collection[TP]
    jumps: Mapping[TP, Jump]
    unreadable: Mapping[TP, Unreadable] = MappingProxyType({})


class Restored(NamedTuple):
    """What a new owner of partitions starts from."""

    lease: object | None
    committed: dict[TP, Committed]
    start: dict[TP, int]


def standing(assignment: Any, owned: Container[TP]) -> tuple[dict[TP, int], list[TP]]:
    """Positions of the partitions in `owned`; and of all that are assigned those where the log goes on but what is
    committed does not: a transaction is open."""
    positions: dict[TP, int] = {}
    held: list[TP] = []
    # aiokafka's own tuples, which equal ours: this runs for every partition at every fetch.
    for tp in () if assignment is None else cast("Iterable[TP]", assignment.tps):
        state = assignment.state_value(tp)
        if state is None or not state.has_valid_position:
            continue
        if tp in owned:
            positions[tp] = state.position
        if state.lso is not None and state.highwater > state.lso <= state.position:
            held.append(tp)
    return positions, held


class Taker(FetchWishes, Protocol):
    """The consumer that this thread fetches for (`consumer.BatchConsumer`). Asked and told from the thread."""

    lease: object | None
    flow_active: bool

    @property
    def subscribed(self) -> Collection[str]:
        """The topics of stages and tables."""

    async def id_lost(self) -> None:
        """Awaited before a static id that was lost is taken again."""


class ConsumerThread(AIOKafkaConsumerThread):
    """Adds to Faust's thread: fetches tagged with their assignment, one-request restore, commits with metadata."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        # asyncio's own loop, whatever the main thread has: mode makes tasks for this loop from the other thread
        # (`add_future` of `ServiceThread.start`). uvloop loses what is called then: one stop in ten hung on it.
        super().__init__(*arguments, thread_loop=asyncio.SelectorEventLoop(), **options)
        self._close_thread_loop_on_stop = True  # mode leaves a loop that it was given to whoever gave it
        self.membership = Membership(self._taker.id_lost)
        self._errands = Errands(self.parent_loop, self.thread_loop)

    @property
    def _taker(self) -> Taker:
        return cast(Taker, self.consumer)

    def _create_worker_consumer(self, transport: Transport) -> AIOKafkaConsumer:
        records.install()
        fetch_wire.install()
        consumer = super()._create_worker_consumer(transport)
        self._jumps = Jumps()
        consumer._fetch_max_wait_ms = self._taker.fetch_max_wait_ms  # Faust: 1500, hard-coded
        # Faust: only with its own transactions. What a producer aborts was never there, whoever the producer is.
        consumer._isolation_level = ISOLATION_LEVEL
        if consumer._group_instance_id is not None:
            consumer._group_instance_id = static_id(consumer._group_instance_id, self._taker.subscribed)
        return consumer

    async def on_start(self) -> None:
        """Starts the consumer and begins to note its heartbeats."""
        await super().on_start()
        consumer: Any = self._ensure_consumer()  # typed in part only
        self.membership.follow(consumer._coordinator)
        FetchPlan(consumer._fetcher, self._taker, self._jumps)
        never_ends("the coordination", consumer._coordinator._coordination_task, lambda: consumer._closed)
        never_ends("the fetching", consumer._fetcher._fetch_task, lambda: consumer._closed)

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Notes the assignment object: the lease under which records are handed out and offsets committed.

        The generation id would not do: a static member may rejoin without a new one.
        """
        self.membership.joined()
        self._jumps.forget()
        self._taker.lease = self._lease()
        await super().on_partitions_assigned(assigned, generation_id)

    def _lease(self) -> object | None:
        subscription = self._ensure_consumer()._subscription.subscription
        return None if subscription is None else cast("object | None", subscription.assignment)

    async def fetch(self, wanted: Container[TP], timeout_seconds: float, max_records: int) -> Fetched:
        """Next records of partitions that are in `wanted` at that time; waits up to the timeout for the first."""
        return await self._errands.run(self._fetch(wanted, timeout_seconds, max_records))

    async def _fetch(self, wanted: Container[TP], timeout_seconds: float, max_records: int) -> Fetched:
        if not self._taker.flow_active:
            return Fetched(None, {}, {}, (), {})
        consumer = self._ensure_consumer()
        asked_under: Any = self._lease()
        jumps = await self._jumps.settle(consumer)
        if jumps:
            return Fetched(asked_under, {}, {}, (), jumps)
        owned = frozenset(self._taker.partitions)  # in one step: the loop may change it meanwhile
        found = await self._fetch_records(consumer, cast("set[TP]", wanted), timeout_seconds, max_records)
        # No await between the hand-out and this line: the lease is that of the records.
        lease: Any = self._lease()
        fetcher: Any = consumer._fetcher
        damaged = {
            tp: why for tp, result in fetcher._records.items() if (why := records.unreadable(result)) is not None
        }
        return Fetched(lease, cast("Mapping[TP, list[Record]]", found), *standing(lease, owned), {}, damaged)

    def highwater(self, tp: TP) -> int:
        """Where what is committed ends, by the last fetch. Faust: the end of the log, open transactions included."""
        consumer: Any = self._ensure_consumer()  # typed in part only
        return cast(int, consumer.last_stable_offset(TopicPartition(tp.topic, tp.partition)))

    def wake(self) -> None:
        """Makes a waiting fetch look again, because a partition was resumed. Callable from any thread."""
        if self._consumer is not None and not self.thread_loop.is_closed():
            self.thread_loop.call_soon_threadsafe(self._notify_fetch_waiters)

    def _notify_fetch_waiters(self) -> None:
        fetcher: Any = self._ensure_consumer()._fetcher
        for waiter in list(fetcher._fetch_waiters):
            fetcher._notify(waiter)

    async def restore(self, tps: Iterable[TP]) -> Restored:
        """Reads the committed offsets and metadata of assigned partitions and seeks to them.

        A partition without a commit starts at the beginning of its log. One request of each kind for all.
        Raises KafkaError when Kafka refuses, TimeoutError when it does not answer.
        """
        return cast(Restored, await self.call_thread(self._restored, list(tps)))

    async def _restored(self, tps: list[TP]) -> Restored:
        async with asyncio.timeout(RESTORE_TIMEOUT_SECONDS):
            return await self._restore(tps)

    async def _restore(self, tps: list[TP]) -> Restored:
        consumer: Any = self._ensure_consumer()  # typed in part only
        lease = self._lease()
        wanted = [TopicPartition(tp.topic, tp.partition) for tp in tps]
        found = await consumer._coordinator.fetch_committed_offsets(wanted)
        earliest, ends = await consumer.beginning_offsets(wanted), await consumer.end_offsets(wanted)
        committed: dict[TP, Committed] = {}
        start: dict[TP, int] = {}
        if lease is not self._lease():
            return Restored(None, {}, {})
        for tp, key in zip(tps, wanted, strict=True):
            if key in found:
                committed[tp] = Committed(found[key].offset, found[key].metadata or "")
                start[tp] = found[key].offset
                if not earliest[key] <= start[tp] <= ends[key]:
                    self._jumps.doubt(tp, start[tp])  # aiokafka goes on at the beginning of the log and says nothing
            else:
                committed[tp] = Committed(None, "")
                start[tp] = earliest[key]
            consumer._fetcher.seek_to(key, start[tp])
        return Restored(lease, committed, start)

    async def commit_offsets(self, lease: object | None, offsets: Mapping[batch.TP, Committed]) -> bool:
        """Commits offsets with metadata under the lease. False, never an error, when Kafka did not take them."""
        return bool(await self.call_thread(self._commit_offsets, lease, offsets))

    async def _commit_offsets(self, lease: object | None, offsets: Mapping[batch.TP, Committed]) -> bool:
        if lease is None or lease is not self._lease():
            return False
        wanted = {
            TopicPartition(tp.topic, tp.partition): OffsetAndMetadata(value.offset, value.metadata)
            for tp, value in offsets.items()
            if value.offset is not None
        }
        return await self._commit_or_refuse(wanted)

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        """Commits of plain agents. Faust's own crashes the app on any error."""
        assigned = self.assignment()
        mine = {tp: offset for tp, offset in offsets.items() if tp in assigned}
        return await self._commit_or_refuse(
            {TopicPartition(tp.topic, tp.partition): OffsetAndMetadata(offset, "") for tp, offset in mine.items()}
        )

    async def _commit_or_refuse(self, offsets: dict[Any, Any]) -> bool:
        try:
            consumer: Any = self._ensure_consumer()
            await asyncio.wait_for(consumer.commit(offsets), COMMIT_TIMEOUT_SECONDS)
        except (KafkaError, IllegalStateError, TimeoutError, OSError) as exc:
            logger.warning("commit of %d partitions was not taken, it stays pending: %r", len(offsets), exc)
            return False
        return True
