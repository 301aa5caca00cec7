"""The producers of one outbox, each with the thread that takes its delivery reports."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any

from confluent_kafka import Producer

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.1


class TopicWriters:
    """A topic's partition has one producer as long as the process lives, so its records keep their order.

    Why more than one: librdkafka puts one partition into a produce request and an idempotent producer has at most five
    requests at a broker, so records for forty partitions wait for eight round trips; four producers make that two
    (docs/benchmarks.md). Each costs a connection and two threads.
    `on_failure`, on a poll thread: a producer cannot be polled any more, so its reports are lost.
    """

    def __init__(self, producers: Sequence[Producer], on_failure: Callable[[BaseException], None]) -> None:
        self._producers = producers
        self._on_failure = on_failure
        self._closed = threading.Event()
        #: As `Producer.produce(topic, value, key, partition, on_delivery, **more)`.
        self.produce: Callable[..., None] = producers[0].produce if len(producers) == 1 else self._produce_at
        self._threads = [
            threading.Thread(target=self._poll, args=(producer,), name=f"outbox-{at}", daemon=True)
            for at, producer in enumerate(producers)
        ]

    def start(self) -> None:
        """Begins to take delivery reports."""
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """No report is taken from here on; the threads end within POLL_SECONDS. On any thread."""
        self._closed.set()

    def join(self) -> None:
        """Blocks until the threads have ended, after `close`."""
        for thread in self._threads:
            thread.join()

    def _produce_at(self, topic: str, value: Any, key: Any, partition: int, *more: Any, **named: Any) -> None:
        producer = self._producers[(hash(topic) + partition) % len(self._producers)]
        producer.produce(topic, value, key, partition, *more, **named)

    def _poll(self, producer: Producer) -> None:
        poll = producer.poll
        while not self._closed.is_set():
            try:
                poll(POLL_SECONDS)
            except Exception as exc:
                # A report may be lost with it: without this the process would wait for ever. Seen once: a SystemError
                # of confluent-kafka 2.16 in its own hand-over of exceptions between threads.
                logger.debug("the poll thread failed", exc_info=exc)
                self._on_failure(exc)
                return
