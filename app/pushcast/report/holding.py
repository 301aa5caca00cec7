"""Books of partitions that stand still until something else has happened: an upgrade, or an answer of the registry."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Collection
from typing import Final, NamedTuple

from confluent_kafka import Consumer, KafkaException, TopicPartition

from pushcast.report.consumed import BookPlace
from pushcast.wire.newer import NewerSchema

logger = logging.getLogger(__name__)

#: After so long it is tried again.
NEWER_SECONDS: Final = 5.0
REGISTRY_SECONDS: Final = 1.0


class _Held(NamedTuple):
    """`offset`: the first record that is not applied. `until`: seconds of the clock."""

    offset: int
    until: float


class HeldBooks:
    """Of one consumer, whose other partitions go on. Used on its thread; `waits` and `in` may be asked on any."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock`: seconds that only grow."""
        self._clock = clock
        self._held: dict[BookPlace, _Held] = {}
        # Of those that are tried again, too. Never changed in place: other threads go through it.
        self._whys: dict[BookPlace, str] = {}

    @property
    def waits(self) -> str | None:
        """Why records are not applied; None: all are."""
        return next(iter(self._whys.values()), None)

    def __contains__(self, place: BookPlace) -> bool:
        return place in self._whys

    def hold(self, consumer: Consumer, place: BookPlace, offset: int, error: Exception) -> None:
        """Reads nothing more of it for some seconds, and then again from this offset on. Says why once."""
        why, seconds = str(error), NEWER_SECONDS if isinstance(error, NewerSchema) else REGISTRY_SECONDS
        if self._whys.get(place) != why:
            logger.warning("%s[%d]@%d: %s", *place, offset, why)
        consumer.pause([TopicPartition(*place)])
        self._whys = {**self._whys, place: why}
        self._held = {**self._held, place: _Held(offset, self._clock() + seconds)}

    def try_again(self, consumer: Consumer) -> None:
        """Reads those on whose time has come."""
        now = self._clock()
        for place, held in self._held.items():
            if held.until <= now:
                consumer.resume([TopicPartition(*place)])
                consumer.seek(TopicPartition(*place, held.offset))
        self._held = {place: held for place, held in self._held.items() if held.until > now}

    def applied(self, place: BookPlace) -> None:
        """It goes on."""
        if place in self._whys:
            logger.info("%s[%d] goes on", *place)
            self._whys = {each: why for each, why in self._whys.items() if each != place}

    def let_go(self, consumer: Consumer, partitions: Collection[int]) -> None:
        """They go to another process. If they come back they are read at once: whether librdkafka keeps a pause beyond
        an assignment depends on its version."""
        gone = set(partitions)
        paused = [TopicPartition(*place) for place in self._held if place[1] in gone]
        if paused:
            with contextlib.suppress(KafkaException):  # they are lost already
                consumer.resume(paused)
        self._held = {place: held for place, held in self._held.items() if place[1] not in gone}
        self._whys = {place: why for place, why in self._whys.items() if place[1] not in gone}
