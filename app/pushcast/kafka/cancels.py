"""Keeps a process's `CancelState` up to date with the partitions of `push.cancel.v1` that its stages own.

A plain consumer on a thread of its own, without a group, started with the first partition. A partition that was
followed once is followed until the process ends.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple, cast

from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, Consumer, KafkaError, KafkaException, Message, TopicPartition

from pushcast.config.security import KafkaSecurity
from pushcast.kafka.clients import client_config, open_consumer
from pushcast.kafka.offsets import ends
from pushcast.model.clock import Clock
from pushcast.model.errors import PushcastError
from pushcast.stream.assignment import boottime_seconds
from pushcast.stream.ports import Fatal
from pushcast.wire import topics
from pushcast.wire.control.cancel_state import CancelRecord, CancelState
from pushcast.wire.schemas import SchemaSource

logger = logging.getLogger(__name__)

#: How often the ends of the partitions are asked for, and how long an answer may take.
PULSE_SECONDS: Final = 1.0
_ANSWER_SECONDS: Final = 2.0
#: At a take-over nothing is known yet, and a new client has to find the leaders first.
_FIRST_ANSWER_SECONDS: Final = 10.0
_REGISTRY_SECONDS: Final = 10.0
#: How long a take-over waits until a partition is read: seven days of cancels may lie there.
FOLLOW_SECONDS: Final = 30.0
#: A client that is behind an end it was told of, and hears nothing for so long, is replaced.
STUCK_SECONDS: Final = 30.0
_POLL_SECONDS: Final = 0.1
_SLICE_RECORDS: Final = 500


class CancelsUnreadable(ConnectionError):
    """A partition was not read whole: the stage must not begin with it. The transport tries again with back-off."""


class _Wanted(NamedTuple):
    partition: int
    read: asyncio.Future[None]


class CancelTail:
    """Applies every record, in order, on the event loop. Survives brokers that are away: the state then stands still,
    and its `current_at` with it."""

    def __init__(
        self,
        bootstrap_servers: str,
        security: KafkaSecurity | None,
        state: CancelState,
        *,
        clock: Clock,
        fatal: Fatal,
        schemas: SchemaSource | None = None,
        topic: str = topics.CANCEL,
    ) -> None:
        """`schemas`: made to know what the records are written in; without it Confluent frames are not readable."""
        self.state = state
        self._schemas = schemas
        self._client = {
            **client_config(bootstrap_servers, security),
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
            "reconnect.backoff.max.ms": 500,  # a cancel counts within seconds, after an outage too
            "queued.max.messages.kbytes": 2048,
        }
        self._topic = topic
        self._clock = clock
        self._fatal = fatal
        self._requests: queue.SimpleQueue[_Wanted] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._followed: set[int] = set()  # on the loop
        self._next: dict[int, int] = {}  # on the thread: offset to be read, by partition
        self._waiting: list[tuple[_Wanted, int]] = []  # on the thread: with the end that was asked

    async def follow(self, partitions: Iterable[int]) -> None:
        """Returns when everything is applied that was written to these partitions before. Raises CancelsUnreadable."""
        loop = asyncio.get_running_loop()
        wanted = [_Wanted(partition, loop.create_future()) for partition in sorted(set(partitions))]
        if not wanted:
            return
        for each in wanted:
            if each.partition not in self._followed:
                self._followed.add(each.partition)
                self.state.begin(each.partition)
            self._requests.put(each)
        if self._thread is None:
            self.state.current_at = 0.0
            self._thread = threading.Thread(target=self._run, args=(loop,), name="cancels", daemon=True)
            self._thread.start()
        try:
            async with asyncio.timeout(FOLLOW_SECONDS):
                await asyncio.gather(*(each.read for each in wanted))
        except TimeoutError:
            numbers = [each.partition for each in wanted if not each.read.done()]
            raise CancelsUnreadable(f"{self._topic}{numbers} was not read within {FOLLOW_SECONDS:.0f} s") from None

    async def close(self) -> None:
        """Ends the thread; waits for at most one answer of Kafka."""
        self._stop.set()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join)

    # on the thread

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            while not self._stop.is_set():
                consumer = open_consumer(self._client, "pushcast-cancels")  # a group never joined
                try:
                    if self._next:
                        consumer.assign([TopicPartition(self._topic, *at) for at in self._next.items()])
                    self._follow(loop, consumer)
                finally:
                    consumer.close()
        except Exception as error:
            self._call(loop, self._fatal, "cancels", error)

    def _follow(self, loop: asyncio.AbstractEventLoop, consumer: Consumer) -> None:
        """Until it is closed, or the client is stuck."""
        asked_at = 0.0
        behind_at: float | None = None
        while not self._stop.is_set():
            self._begin(loop, consumer)
            before = dict(self._next)
            if self._next:
                self._take(loop, consumer.consume(_SLICE_RECORDS, _POLL_SECONDS))
            now = boottime_seconds()
            if self._next != before:
                behind_at = None
            self._tell(loop)
            if now - asked_at < PULSE_SECONDS or not self._next:
                continue
            asked_at = now
            known = self._ends(consumer, self._next)
            if known is None:
                continue
            if all(self._next[partition] >= end for partition, end in known.items()):
                behind_at = None
                self._call(loop, self._current, now)
            elif behind_at is None:
                behind_at = now
            elif now - behind_at >= STUCK_SECONDS:
                logger.warning("%s is followed with a new client: nothing was heard of what is there", self._topic)
                return

    def _begin(self, loop: asyncio.AbstractEventLoop, consumer: Consumer) -> None:
        """Takes up the partitions that were asked for."""
        wanted: list[_Wanted] = []
        while not self._requests.empty():
            wanted.append(self._requests.get())
        if not wanted:
            return
        numbers = [each.partition for each in wanted]
        begins = self._ends(consumer, numbers, _FIRST_ANSWER_SECONDS, OFFSET_BEGINNING)
        known = None if begins is None else self._ends(consumer, numbers, _FIRST_ANSWER_SECONDS)
        if begins is None or known is None:
            refusal = CancelsUnreadable(
                f"no answer about the ends of {self._topic}: is it there? `pushcast topology apply`"
            )
            for each in wanted:
                self._call(loop, _fail, each.read, refusal)
            return
        for each in wanted:
            if each.partition not in self._next:
                # Where its log begins: an empty one is at its end, which the broker would say half a second later.
                first = self._next[each.partition] = begins[each.partition]
                consumer.incremental_assign([TopicPartition(self._topic, each.partition, first)])
            self._waiting.append((each, known[each.partition]))
        self._tell(loop)

    def _take(self, loop: asyncio.AbstractEventLoop, messages: Sequence[Message]) -> None:
        found: dict[int, list[CancelRecord]] = {}
        for message in messages:
            error, partition = message.error(), cast(int, message.partition())
            if error is None:
                found.setdefault(partition, []).append(_record(message))
                self._next[partition] = cast(int, message.offset()) + 1
            elif error.code() == KafkaError._PARTITION_EOF:
                self._next[partition] = max(self._next[partition], cast(int, message.offset()))
            elif error.fatal() or error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED:
                raise KafkaException(error)
            else:
                logger.warning("%s cannot be followed, what is known stays: %s", self._topic, error.str())
        if found and self._schemas is not None:
            self._prepare(loop, self._schemas, [record.value for records in found.values() for record in records])
        for partition, records in found.items():
            self._call(loop, self._apply, partition, records)

    def _prepare(self, loop: asyncio.AbstractEventLoop, schemas: SchemaSource, values: Sequence[bytes | None]) -> None:
        """Waits for a registry that is away: a cancel that nobody can read would let its push leave."""
        while not self._stop.is_set():
            asked = asyncio.run_coroutine_threadsafe(schemas.prepare(values), loop)
            try:
                asked.result(_REGISTRY_SECONDS)
            except (OSError, TimeoutError) as error:
                asked.cancel()
                logger.warning("%s waits for the schema registry: %s", self._topic, error or "no answer")
                self._stop.wait(1.0)
            else:
                return

    def _tell(self, loop: asyncio.AbstractEventLoop) -> None:
        """Those who wait for ends that are reached."""
        waiting, self._waiting = self._waiting, []
        for each, end in waiting:
            if self._next[each.partition] >= end:
                self._call(loop, _succeed, each.read)
            else:
                self._waiting.append((each, end))

    def _ends(
        self,
        consumer: Consumer,
        partitions: Iterable[int],
        timeout_seconds: float = _ANSWER_SECONDS,
        which: int = OFFSET_END,
    ) -> dict[int, int] | None:
        """Asks all of them at once; None without an answer. `which`: OFFSET_BEGINNING, where their logs begin."""
        try:
            return ends(consumer, self._topic, partitions, timeout_seconds, which)
        except PushcastError as error:
            logger.warning("the ends of %s are not known: %s", self._topic, error)
            return None

    def _call(self, loop: asyncio.AbstractEventLoop, step: Callable[..., object], *arguments: object) -> None:
        try:
            loop.call_soon_threadsafe(step, *arguments)
        except RuntimeError:
            self._stop.set()  # the loop is closed: the process is on its way out

    # on the loop

    def _apply(self, partition: int, records: list[CancelRecord]) -> None:
        try:
            self.state.apply(partition, records, self._clock.now_ms())
        except Exception as error:
            self._fatal("cancels", error)

    def _current(self, at: float) -> None:
        self.state.current_at = at


def _record(message: Message) -> CancelRecord:
    key, value = message.key(), message.value()
    return CancelRecord(
        key if isinstance(key, bytes) else None,
        value if isinstance(value, bytes) else None,
        int(message.timestamp()[1]),
    )


def _succeed(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _fail(future: asyncio.Future[None], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
