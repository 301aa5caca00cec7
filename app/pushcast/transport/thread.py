"""The aiokafka consumer in its own thread, with commits that carry metadata and never crash the app."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Container, Coroutine, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, cast

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import IllegalStateError, InconsistentGroupProtocolError, KafkaError
from aiokafka.structs import OffsetAndMetadata, TopicPartition
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread
from faust.types import TP

from pushcast.kafka.clients import ISOLATION_LEVEL
from pushcast.stream import batch
from pushcast.stream.assignment import boottime_seconds
from pushcast.stream.batch import Committed
from pushcast.stream.tracker import Record
from pushcast.transport import records
from pushcast.transport.jumps import Jump, Jumps, Known

if TYPE_CHECKING:
    from faust.transport.drivers.aiokafka import Transport

logger = logging.getLogger(__name__)

#: A commit that takes longer is given up and made again with the next tick. On revocation one may be under way and one
#: follows, after at most half the rebalance timeout: together they stay below it.
COMMIT_TIMEOUT_SECONDS = 5.0

#: Between two attempts to join a group that holds a member of another kind.
REFUSED_SECONDS = 2.0

#: Long-poll of a fetch that leaves paused partitions out.
PAUSED_FETCH_MAX_WAIT_MS = 50


class Fetched(NamedTuple):
    """Records by partition, and the assignment under which the consumer handed them out.

    `positions`: next offset to be fetched of partitions that had a worker before the fetch. Below it everything was
    handed out, with this fetch or an earlier one; transaction markers and aborted records are passed in silence.
    `held`: assigned partitions, those of tables too, that stand before an open transaction.
    `jumps`: positions that their log refused, and where it goes on.
    """

    lease: object | None
    records: Mapping[TP, list[Record]]
    positions: Mapping[TP, int]
    held: Collection[TP]
    jumps: Mapping[TP, Jump]


class Restored(NamedTuple):
    """What a new owner of partitions starts from."""

    lease: object | None
    committed: dict[TP, Committed]
    start: dict[TP, int]


def retrieved(commit: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., asyncio.Task[None]]:
    """Wraps a commit so that its exception is not logged as "never retrieved" when we stop waiting for it.

    aiokafka shields its commits: one that we gave up after COMMIT_TIMEOUT_SECONDS goes on, and its end would be a
    traceback in the log of every role whenever a broker goes away.
    """

    def begun(*arguments: Any) -> asyncio.Task[None]:
        task = asyncio.ensure_future(commit(*arguments))
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        return task

    return begun


def standing(assignment: Any, owned: Container[TP]) -> tuple[dict[TP, int], list[TP]]:
    """Positions of the partitions in `owned`; and of all that are assigned those where the log goes on but what is
    committed does not: a transaction is open."""
    positions: dict[TP, int] = {}
    held: list[TP] = []
    for tp in () if assignment is None else map(TP._make, assignment.tps):
        state = assignment.state_value(tp)
        if state is None or not state.has_valid_position:
            continue
        if tp in owned:
            positions[tp] = state.position
        if state.lso is not None and state.highwater > state.lso <= state.position:
            held.append(tp)
    return positions, held


class Taker(Protocol):
    """The consumer that this thread fetches for (`consumer.BatchConsumer`). Asked and told from the thread."""

    lease: object | None
    flow_active: bool

    @property
    def partitions(self) -> Mapping[TP, Known]:
        """Those with a worker. Asked from the thread while the loop may change it."""

    @property
    def fetch_max_wait_ms(self) -> int:
        """How long a broker may hold a fetch back that has nothing to bring."""

    def wants(self, tp: TP) -> bool:
        """Whether records of the partition may be taken now."""

    async def id_lost(self) -> None:
        """Awaited before a static id that was lost is taken again."""


class ConsumerThread(AIOKafkaConsumerThread):
    """Adds to Faust's thread: fetches tagged with their assignment, one-request restore, commits with metadata."""

    #: CLOCK_BOOTTIME seconds when the last heartbeat that the coordinator accepted was sent, or of the last join; 0
    #: before the first. Boot time, because it goes on while the machine sleeps: a sleeper has lost its partitions.
    last_heartbeat_at: float = 0.0
    #: Why the group does not take this member; None while it does.
    refused: str | None = None
    _id_lost: bool = False

    @property
    def _taker(self) -> Taker:
        return cast(Taker, self.consumer)

    def _create_worker_consumer(self, transport: Transport) -> AIOKafkaConsumer:
        records.install()
        consumer = super()._create_worker_consumer(transport)
        self._jumps = Jumps()
        consumer._fetch_max_wait_ms = self._taker.fetch_max_wait_ms  # Faust: 1500, hard-coded
        # Faust: only with its own transactions. What a producer aborts was never there, whoever the producer is.
        consumer._isolation_level = ISOLATION_LEVEL
        return consumer

    async def on_start(self) -> None:
        """Starts the consumer and begins to note its heartbeats."""
        await super().on_start()
        self._note_heartbeats()
        self._retrieve_abandoned_commits()
        self._note_lost_ids()
        self._join_again_when_refused()
        self._fetch_past_paused_partitions()

    def _retrieve_abandoned_commits(self) -> None:
        coordinator: Any = self._ensure_consumer()._coordinator
        coordinator._do_commit_offsets = retrieved(coordinator._do_commit_offsets)

    def _note_lost_ids(self) -> None:
        coordinator: Any = self._ensure_consumer()._coordinator
        reset: Callable[[], None] = coordinator.reset_generation

        def noted() -> None:
            self._id_lost = coordinator._group_instance_id is not None
            reset()

        coordinator.reset_generation = noted

    def _join_again_when_refused(self) -> None:
        """aiokafka gives up for ever when a member of another protocol is in the group, a tool that uses its id."""
        coordinator: Any = self._ensure_consumer()._coordinator
        join: Callable[[Any], Awaitable[bool]] = coordinator._do_rejoin_group

        async def joined(subscription: Any) -> bool:
            if self._id_lost:
                self._id_lost = False
                await self._taker.id_lost()
            try:
                done = await join(subscription)
            except InconsistentGroupProtocolError:
                if self.refused is None:
                    self.refused = (
                        "a client of another kind is a member of the group (a tool that uses its id): "
                        "this process joins when it has left"
                    )
                    logger.warning("group %s: %s", coordinator.group_id, self.refused)
                await asyncio.sleep(REFUSED_SECONDS)
                return False
            self.refused = None
            return done

        coordinator._do_rejoin_group = joined

    def _note_heartbeats(self) -> None:
        coordinator: Any = self._ensure_consumer()._coordinator
        beat: Callable[[], Awaitable[bool]] = coordinator._do_heartbeat

        async def noted() -> bool:
            # The sending counts: a process that was stopped meanwhile finds the answer waiting, however old it is.
            sent_at = boottime_seconds()
            alive = await beat()
            if alive:
                self.last_heartbeat_at = max(self.last_heartbeat_at, sent_at)
            return alive

        coordinator._do_heartbeat = noted

    def _fetch_past_paused_partitions(self) -> None:
        """Without this, one full partition delays every other one by up to 100 ms.

        aiokafka holds all fetches of a broker back (`prefetch_backoff`) while records of one partition wait to be
        taken; those of a paused partition wait on purpose. They stay fetched, so the next requests go without the
        partition, and must be short: when it resumes, it waits for the request under way.
        """
        fetcher: Any = self._ensure_consumer()._fetcher
        plan: Callable[[Any], Any] = fetcher._get_actions_per_node
        wants = self._taker.wants

        def planned(assignment: Any) -> Any:
            fetcher._fetch_max_wait_ms = self._taker.fetch_max_wait_ms
            self._jumps.suspect(assignment, self._taker.partitions)
            for tp, result in fetcher._records.items():
                if not wants(tp):
                    result._backoff = 0
                    fetcher._fetch_max_wait_ms = min(PAUSED_FETCH_MAX_WAIT_MS, self._taker.fetch_max_wait_ms)
            return plan(assignment)

        fetcher._get_actions_per_node = planned

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Notes the assignment object: the lease under which records are handed out and offsets committed.

        The generation id would not do: a static member may rejoin without a new one.
        """
        self.last_heartbeat_at = boottime_seconds()
        self._taker.lease = self._lease()
        await super().on_partitions_assigned(assigned, generation_id)

    def _lease(self) -> object | None:
        subscription = self._ensure_consumer()._subscription.subscription
        return None if subscription is None else cast("object | None", subscription.assignment)

    async def fetch(self, wanted: Container[TP], timeout_seconds: float, max_records: int) -> Fetched:
        """Next records of partitions that are in `wanted` at that time; waits up to the timeout for the first."""
        return cast(Fetched, await self.call_thread(self._fetch, wanted, timeout_seconds, max_records))

    async def _fetch(self, wanted: Container[TP], timeout_seconds: float, max_records: int) -> Fetched:
        if not self._taker.flow_active:
            return Fetched(None, {}, {}, (), {})
        consumer = self._ensure_consumer()
        jumps = await self._jumps.settle(consumer)
        if jumps:
            return Fetched(self._lease(), {}, {}, (), jumps)
        owned = frozenset(self._taker.partitions)  # in one step: the loop may change it meanwhile
        records = await self._fetch_records(consumer, cast("set[TP]", wanted), timeout_seconds, max_records)
        # No await between the hand-out and this line: the lease is that of the records.
        lease: Any = self._lease()
        return Fetched(lease, cast("Mapping[TP, list[Record]]", records), *standing(lease, owned), {})

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
        Raises KafkaError when Kafka refuses.
        """
        return cast(Restored, await self.call_thread(self._restore, list(tps)))

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
