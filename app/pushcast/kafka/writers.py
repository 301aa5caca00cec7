"""The producers of one outbox, each with the thread that takes its delivery reports."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from confluent_kafka import Producer

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.1


OnDelivery = Callable[[Any, Any], None]


class _Place:
    """A partition of a topic: the loop counts what was put there, the poll thread of its producer what was reported."""

    __slots__ = ("at", "puts", "reports")

    def __init__(self) -> None:
        self.at = 0  # the producer of the records that are not reported, or of the last ones
        self.puts = 0
        self.reports = 0

    def reported(self, on_delivery: OnDelivery, error: Any, message: Any) -> None:
        """On the poll thread. Counts last: what comes next may go through another producer."""
        on_delivery(error, message)
        self.reports += 1


class TopicWriters:
    """As long as a record of a place is not reported, others for it go through the same producer, so they keep their
    order. Else they go through the one with the fewest places that wait for reports, the first of these.

    Why more than one: librdkafka puts one partition into a produce request and an idempotent producer has at most five
    requests at a broker, so records for forty partitions wait for eight round trips; four producers make that two. Why
    not each time another: a connection and two threads that have nothing to do are cold, and one event at a time then
    costs more CPU (docs/benchmarks.md).
    `on_failure`, on a poll thread: a producer cannot be polled any more, so its reports are lost.
    """

    def __init__(self, producers: Sequence[Producer], on_failure: Callable[[BaseException], None]) -> None:
        self._producers = producers
        self._on_failure = on_failure
        self._closed = threading.Event()
        self._places: dict[tuple[str, int], _Place] = {}
        self._waiting: list[set[_Place]] = [set() for _ in producers]  # some of them may be reported meanwhile
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

    def _produce_at(
        self, topic: str, value: Any, key: Any, partition: int, on_delivery: OnDelivery, **named: Any
    ) -> None:
        place = self._places.get((topic, partition))
        if place is None:
            place = self._places[topic, partition] = _Place()
        if place.puts == place.reports:
            place.at = self._least_busy()
            self._waiting[place.at].add(place)
        place.puts += 1
        try:
            report = partial(place.reported, on_delivery)
            self._producers[place.at].produce(topic, value, key, partition, report, **named)
        except BaseException:
            place.puts -= 1
            raise

    def _least_busy(self) -> int:
        found, fewest = 0, len(self._places) + 1
        for at, places in enumerate(self._waiting):
            places -= {place for place in places if place.puts == place.reports}
            if not places:
                return at
            if len(places) < fewest:
                found, fewest = at, len(places)
        return found

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
