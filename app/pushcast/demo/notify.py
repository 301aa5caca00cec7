"""Writes the demo's notifications: a flood as fast as it goes, and urgent events as a trickle beside it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from typing import Final

import orjson
from confluent_kafka import Producer

from pushcast.config.settings import Settings
from pushcast.demo.notes import Note
from pushcast.demo.parts import group_of
from pushcast.demo.produce import Progress, produce, producer_of
from pushcast.model.words import Lane
from pushcast.wire import topics

URGENT_PER_SECOND: Final = 50
JOIN_SECONDS: Final = 60.0
#: Of the trickle: everything is cold at first, connections, caches and the broker's code, and the flood is written.
START_SECONDS: Final = 3
AT_FIRST: Final = f"first {START_SECONDS} s"
LATER: Final = "later"


class Writer:
    """Puts events with the time of their content, which is also their Kafka time. One thread's."""

    def __init__(self, settings: Settings, **changes: int) -> None:
        self._partitions = settings.kafka.partitions
        self.producer: Producer = producer_of(settings, **changes)
        self._times: dict[int, int] = {}

    def write(self, note: Note, part: str = "") -> None:
        """Blocks while the producer's queue is full. `part`: of its lane, whose arrivals are also shown apart."""
        at_ms = self._times.setdefault(note.content, time.time_ns() // 1_000_000)
        due_ms = at_ms + round(note.due_in_seconds * 1000)
        # The simulators reckon arrivals from this time, by this group.
        data = {
            "content": str(note.content),
            "pushcast_at_ms": str(due_ms),
            "pushcast_group": group_of(note.lane, part),
        }
        event = {**note.event, "data": data}
        if note.due_in_seconds:
            event["deliver_at"] = due_ms
        value = orjson.dumps(event)
        produce(self.producer, topics.notification(Lane(note.lane)), note.user, value, self._partitions, at_ms)
        if note.cancelled:
            cancel = orjson.dumps({"ids": [note.event["id"]]})
            produce(self.producer, topics.CANCEL, note.user, cancel, self._partitions, at_ms)


def flood(settings: Settings, notes: Iterable[Note], count: int, progress: Progress) -> None:
    """Returns when all are acknowledged. `count` is how many there are, for the progress."""
    writer = Writer(settings)
    written = 0
    for note in notes:
        writer.write(note)
        written += 1
        if written % 5000 == 0:
            writer.producer.poll(0)
            progress("notifications written", written, count)
    writer.producer.flush()
    progress("notifications written", written, count)


class Trickle(threading.Thread):
    """Writes events at a steady rate until there are no more: what is urgent, while a flood is under way."""

    def __init__(self, settings: Settings, notes: Iterable[Note]) -> None:
        super().__init__(name="trickle", daemon=True)
        self._writer = Writer(settings, **{"linger.ms": 0})
        self._notes = notes
        self._error: Exception | None = None

    def run(self) -> None:
        """What goes wrong is raised by `finish`."""
        began = time.monotonic()
        try:
            for number, note in enumerate(self._notes):
                time.sleep(max(0.0, began + number / URGENT_PER_SECOND - time.monotonic()))
                started = number >= START_SECONDS * URGENT_PER_SECOND
                self._writer.write(note, LATER if started else AT_FIRST)
                self._writer.producer.poll(0)
            self._writer.producer.flush()
        except Exception as error:
            self._error = error

    def finish(self) -> None:
        """Waits until every event is acknowledged. Raises what went wrong, TimeoutError when it does not end."""
        self.join(JOIN_SECONDS)
        if self._error is not None:
            raise self._error
        if self.is_alive():
            raise TimeoutError(f"urgent events were still written after {JOIN_SECONDS:.0f} s")
