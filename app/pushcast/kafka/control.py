"""Keeps a process's `ControlState` up to date with `push.control.v1`: read whole at the start, followed from then on.

A plain consumer on a thread of its own, without a group: every process reads everything.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Sequence
from typing import Final, Protocol, cast

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from pushcast.config.security import KafkaSecurity
from pushcast.kafka.clients import client_config, open_consumer
from pushcast.kafka.offsets import watermarks
from pushcast.model.errors import PushcastError
from pushcast.stream.assignment import boottime_seconds
from pushcast.stream.errors import KafkaLayerError
from pushcast.stream.ports import Fatal
from pushcast.wire import topics

logger = logging.getLogger(__name__)

#: How long a starting process waits for the topic; a broker may be on its way up.
START_SECONDS: Final = 60.0
#: A topic that no broker knows is waited for this long: it may just have been created, or the broker just started.
MISSING_SECONDS: Final = 5.0
#: How often the end of the topic is asked for, and how long an answer may take: pauses are not heard meanwhile. A slow
#: broker needs more than half a second: without an answer nothing is known to be current.
PULSE_SECONDS: Final = 2.0
_ANSWER_SECONDS: Final = 1.5
#: A client that is behind an end it was told of, and hears nothing for so long, is replaced.
STUCK_SECONDS: Final = 30.0
_POLL_SECONDS = 0.2  # bounds only how long `close` waits: a record ends the wait
_SLICE_RECORDS = 500

Pair = tuple[bytes | None, bytes | None]


class FollowedControl(Protocol):
    """What records amount to. `live`: everything that was there at the start is applied. `current_at`: when all that
    was written was known, in CLOCK_BOOTTIME seconds."""

    live: bool
    current_at: float

    def apply(self, key: bytes | None, value: bytes | None, /) -> object:
        """Takes the next record."""


class ControlUnreadable(KafkaLayerError):
    """The topic could not be read whole, so the process does not know what is paused, or valid, and must not work."""


class ControlTail:
    """Applies every record, in order, on the event loop. Survives brokers that are away: the state then stands still,
    and its `current_at` with it.

    An error that no waiting mends goes to `fatal` once the start has succeeded.
    """

    def __init__(
        self,
        bootstrap_servers: str,
        security: KafkaSecurity | None,
        state: FollowedControl,
        *,
        fatal: Fatal,
        topic: str = topics.CONTROL,
    ) -> None:
        self._client = {
            **client_config(bootstrap_servers, security),
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
            "reconnect.backoff.max.ms": 500,  # a pause counts within 2 s, after an outage too
            "queued.max.messages.kbytes": 2048,
        }
        self._topic = topic
        self._state = state
        self._fatal = fatal
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._whole: asyncio.Future[None] | None = None
        self._trouble: str | None = None  # why nothing was read yet, for the message
        self._next = OFFSET_BEGINNING  # offset to be read
        self._is_whole = False  # on the thread: everything that was in the topic was heard

    async def start(self, timeout_seconds: float = START_SECONDS) -> None:
        """Returns when everything that was in the topic is applied. Raises ControlUnreadable."""
        loop = asyncio.get_running_loop()
        self._state.current_at = 0.0
        self._whole = loop.create_future()
        self._thread = threading.Thread(target=self._run, args=(loop,), name="control", daemon=True)
        self._thread.start()
        try:
            await asyncio.wait_for(asyncio.shield(self._whole), timeout_seconds)
        except TimeoutError:
            await self.close()
            raise ControlUnreadable(
                f"{self._topic} was not read within {timeout_seconds:.0f} s ({self._trouble or 'no answer'}): "
                "without it the process does not know what holds"
            ) from None
        except ControlUnreadable:
            await self.close()
            raise

    async def close(self) -> None:
        """Ends the thread; waits for at most one poll."""
        self._stop.set()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join)

    # on the thread

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            while not self._stop.is_set():
                consumer = open_consumer(self._client, "pushcast-control")  # a group never joined
                try:
                    self._find(consumer)
                    self._follow(loop, consumer)
                finally:
                    consumer.close()
        except Exception as error:
            self._call(loop, self._failed, error)

    def _find(self, consumer: Consumer) -> None:
        """Waits until the topic is there: the consumer itself would wait in silence for one that is not."""
        missing_since: float | None = None
        while not self._stop.is_set():
            try:
                found = consumer.list_topics(self._topic, timeout=1.0).topics[self._topic]
            except KafkaException as error:
                self._trouble = str(error)
                missing_since = None
                continue
            if found.error is None:
                return
            self._trouble = found.error.str()
            now = time.monotonic()
            missing_since = missing_since or now
            if now - missing_since > MISSING_SECONDS:
                raise ControlUnreadable(f"{self._topic} does not exist: run `pushcast topology apply`")
            self._stop.wait(_POLL_SECONDS)

    def _follow(self, loop: asyncio.AbstractEventLoop, consumer: Consumer) -> None:
        """Until it is closed, or the client is stuck."""
        consumer.assign([TopicPartition(self._topic, 0, self._next)])
        asked_at = 0.0
        behind_at: float | None = None
        while not self._stop.is_set():
            before = self._next
            first = consumer.poll(_POLL_SECONDS)
            now = boottime_seconds()
            if first is not None:
                self._take(loop, (first, *consumer.consume(_SLICE_RECORDS, 0)))
            if self._next != before:
                behind_at = None
            if now - asked_at < PULSE_SECONDS and self._is_whole:
                continue
            asked_at = now
            first_and_end = self._first_and_end(consumer)
            if first_and_end is None:
                continue
            begin, end = first_and_end
            # An empty log is at its end: the broker would say so half a second later.
            if self._next >= end or (self._next == OFFSET_BEGINNING and begin >= end):
                behind_at, self._is_whole = None, True
                self._call(loop, self._current, now)
            elif behind_at is None:
                behind_at = now
            elif now - behind_at >= STUCK_SECONDS:
                logger.warning("%s is followed with a new client: %d of %d were heard", self._topic, self._next, end)
                return

    def _take(self, loop: asyncio.AbstractEventLoop, messages: Sequence[Message]) -> None:
        pairs: list[Pair] = []
        end = False
        for message in messages:
            error = message.error()
            if error is None:
                pairs.append(_pair(message))
                self._next = cast(int, message.offset()) + 1
            elif error.code() == KafkaError._PARTITION_EOF:
                end = True
                self._next = cast(int, message.offset())
            else:
                self._note(error)
        if pairs or end:
            self._call(loop, self._apply, pairs, end)

    def _first_and_end(self, consumer: Consumer) -> tuple[int, int] | None:
        try:
            return watermarks(consumer, self._topic, 0, _ANSWER_SECONDS)
        except PushcastError as error:
            self._trouble = str(error)
            return None

    def _note(self, error: KafkaError) -> None:
        self._trouble = error.str()
        if error.fatal() or error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED:
            raise KafkaException(error)
        logger.warning("%s cannot be followed, what is known stays: %s", self._topic, self._trouble)

    def _call(self, loop: asyncio.AbstractEventLoop, step: object, *arguments: object) -> None:
        try:
            loop.call_soon_threadsafe(step, *arguments)  # type: ignore[arg-type]  # a bound method of this class
        except RuntimeError:
            self._stop.set()  # the loop is closed: the process is on its way out

    # on the loop

    def _apply(self, pairs: list[Pair], end: bool) -> None:
        try:
            for key, value in pairs:
                self._state.apply(key, value)
        except Exception as error:
            self._failed(error)
            return
        if end:
            self._has_all()

    def _has_all(self) -> None:
        if self._state.live:
            return
        self._state.live = True
        if self._whole is not None and not self._whole.done():
            self._whole.set_result(None)

    def _current(self, at: float) -> None:
        self._state.current_at = at
        self._has_all()

    def _failed(self, error: Exception) -> None:
        if self._whole is not None and not self._whole.done():
            problem = error if isinstance(error, ControlUnreadable) else ControlUnreadable(str(error))
            self._whole.set_exception(problem)
            return
        self._fatal("control topic", error)


def _pair(message: Message) -> Pair:
    key, value = message.key(), message.value()
    return key if isinstance(key, bytes) else None, value if isinstance(value, bytes) else None
