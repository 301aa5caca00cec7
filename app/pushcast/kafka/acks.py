"""A producer that tells of each record where Kafka has put it: for doors whose answer waits for Kafka."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Final

from confluent_kafka import KafkaError, KafkaException, Message

from pushcast.config.security import KafkaSecurity
from pushcast.kafka.producer import open_producer, refusal_of
from pushcast.stream.errors import Full, OutboxFailed
from pushcast.stream.ports import Written
from pushcast.wire.headers import Headers

logger = logging.getLogger(__name__)

MAX_RECORDS: Final = 10_000
MAX_BYTES: Final = 64 << 20
RECORD_OVERHEAD_BYTES: Final = 512
LINGER_SECONDS: Final = 0.001
_POLL_SECONDS: Final = 0.2


class AckProducer:
    """Idempotent, acks=all, never gives a record up. Use it on `loop` only; `put` never blocks.

    At most 10,000 records or 64 MiB are unacknowledged. An error that no retry can mend goes to `on_fatal` once.
    """

    def __init__(
        self,
        bootstrap_servers: str,
        security: KafkaSecurity | None,
        *,
        loop: asyncio.AbstractEventLoop,
        on_fatal: Callable[[BaseException], None],
        max_records: int = MAX_RECORDS,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self._loop = loop
        self._on_fatal = on_fatal
        self._max_records = max_records
        self._max_bytes = max_bytes
        self._bytes = 0
        self._waiting: dict[int, tuple[asyncio.Future[Written], int, float]] = {}  # in order of `put`
        self._next = 0
        self._failure: BaseException | None = None
        self._reports: deque[tuple[int, KafkaError | None, Message]] = deque()
        self._closed = threading.Event()
        self._producer = open_producer(
            bootstrap_servers,
            security=security,
            linger_seconds=LINGER_SECONDS,
            max_records=max_records,
            max_bytes=max_bytes,
            on_error=self._on_client_error,
            extra=None,
        )
        self._thread = threading.Thread(target=self._poll, name="acks", daemon=True)
        self._thread.start()

    def put(
        self, topic: str, partition: int, key: bytes, value: bytes | None, headers: Headers | None = None
    ) -> asyncio.Future[Written]:
        """Resolves when Kafka has it. Fails with RecordRefused when the record is to blame, with OutboxFailed when
        something else is, such as a missing permission: then it is not known whether Kafka has the record.

        Raises Full when too much is unacknowledged, OutboxFailed after a fatal error: then nothing was written.
        """
        if self._failure is not None:
            raise OutboxFailed(str(self._failure)) from self._failure
        size = len(value or b"") + RECORD_OVERHEAD_BYTES
        if len(self._waiting) >= self._max_records or self._bytes + size > self._max_bytes:
            raise Full(f"{len(self._waiting)} records are not yet acknowledged by Kafka")
        number, self._next = self._next, self._next + 1

        def delivered(error: KafkaError | None, message: Message) -> None:
            self._reports.append((number, error, message))

        try:
            self._producer.produce(topic, value, key, partition, delivered, headers=headers)  # type: ignore[arg-type]
        except BufferError as error:
            raise Full("librdkafka's queue is full") from error
        except KafkaException as error:
            raise OutboxFailed(f"{topic}[{partition}]: {error.args[0].str()}") from error
        future: asyncio.Future[Written] = self._loop.create_future()
        self._waiting[number] = future, size, monotonic()
        self._bytes += size
        return future

    @property
    def unacknowledged(self) -> int:
        """Records that Kafka has not confirmed."""
        return len(self._waiting)

    def oldest_seconds(self) -> float:
        """Age of the oldest record that Kafka has not confirmed; 0 when there is none."""
        for _, _, since in self._waiting.values():
            return monotonic() - since
        return 0.0

    async def close(self, timeout_seconds: float) -> int:
        """Waits for acknowledgements up to the timeout. Returns how many records stay unacknowledged."""
        deadline = self._loop.time() + timeout_seconds
        while self._waiting and self._failure is None and self._loop.time() < deadline:
            await asyncio.sleep(0.005)
        self._closed.set()
        await asyncio.to_thread(self._thread.join)
        self._settle()
        return len(self._waiting)

    # poll thread

    def _poll(self) -> None:
        while not self._closed.is_set():
            try:
                self._producer.poll(_POLL_SECONDS)
                if self._reports:
                    self._loop.call_soon_threadsafe(self._settle)
            except Exception as error:  # what it holds can never be confirmed now: the process must end
                if not self._closed.is_set():
                    self._loop.call_soon_threadsafe(self._fail, OutboxFailed(f"the poll thread failed: {error!r}"))
                return

    def _on_client_error(self, error: KafkaError) -> None:
        if error.fatal():
            self._loop.call_soon_threadsafe(self._fail, OutboxFailed(f"{error.name()}: {error.str()}"))
        else:
            logger.debug("producer: %s: %s", error.name(), error.str())

    # loop

    def _settle(self) -> None:
        while self._reports:
            number, error, message = self._reports.popleft()
            future, size, _ = self._waiting.pop(number)
            self._bytes -= size
            topic, partition = message.topic() or "", message.partition() or 0
            offset = message.offset()
            if error is None and offset is not None:
                if not future.done():
                    future.set_result(Written(topic, partition, offset))
                continue
            # A duplicate sequence counts as success in librdkafka, but names no offset: not proven is not done.
            refusal = None if error is None else refusal_of(error, topic, partition, size)
            text = "acknowledged without an offset" if error is None else f"{error.name()}: {error.str()}"
            if not future.done():
                future.set_exception(refusal or OutboxFailed(f"{topic}[{partition}]: {text}"))

    def _fail(self, error: BaseException) -> None:
        if self._failure is None:
            self._failure = error
            self._on_fatal(error)
