"""Reads spans of partitions beside the event loop: tails are rare, may be long, and belong to no group."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import cast

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from pushcast.config.security import KafkaSecurity
from pushcast.kafka.clients import client_config, open_consumer, open_peeker
from pushcast.kafka.offsets import ends_of, since
from pushcast.model.errors import PushcastError

#: Records between two looks at whether the caller still waits; also what holds the interpreter at a time.
_SLICE_RECORDS = 200
_POLL_SECONDS = 0.1
#: Without a record or a moved position for so long, Kafka is not well and the caller tries again.
SILENCE_SECONDS = 15.0
#: Never joined and never committed to.
GROUP = "pushcast-tail"

Spot = tuple[str, int]  # topic, partition
Span = tuple[int, int]  # from this offset, up to and without that one


class TailUnreadable(ConnectionError):
    """Kafka did not give what was asked; the transport calls the stage again with back-off."""


class TailHeld(TailUnreadable):
    """A transaction that is still open stands before what is to be read. It may be anybody's."""

    def __init__(self, spots: Collection[Spot]) -> None:
        """`spots`: the partitions that wait."""
        self.spots = sorted(spots)
        places = ", ".join(f"{topic}[{partition}]" for topic, partition in self.spots[:3])
        more = len(self.spots) - 3
        super().__init__(f"waits for a transaction on {places}" + (f" and {more} more" if more > 0 else ""))


class SpanReader:
    """A short-lived plain consumer per call, on a thread. What it reads is bounded by the caller's spans."""

    def __init__(self, bootstrap_servers: str, security: KafkaSecurity | None = None) -> None:
        self._client = {
            **client_config(bootstrap_servers, security),
            # A position below the log's start: retention took what was there, and what it took is over.
            "auto.offset.reset": "earliest",
            "enable.partition.eof": True,
            "fetch.wait.max.ms": 20,
            "queued.max.messages.kbytes": 8192,
        }

    def _consumer(self) -> Consumer:
        return open_consumer(self._client, GROUP)

    async def ends(self, spots: Iterable[Spot]) -> dict[Spot, int]:
        """Where what is committed ends in each partition, markers included. Raises TailUnreadable."""
        wanted = list(spots)
        return await asyncio.to_thread(self._ends, wanted) if wanted else {}

    def _ends(self, spots: list[Spot]) -> dict[Spot, int]:
        return self._asked(self._consumer(), spots)

    def _asked(self, consumer: Consumer, spots: list[Spot]) -> dict[Spot, int]:
        # Not of an admin client: librdkafka 2.16 was seen to abort in one (`kafka.group_questions`).
        try:
            return ends_of(consumer, spots, SILENCE_SECONDS)
        except PushcastError as error:
            raise TailUnreadable(str(error)) from error
        finally:
            consumer.close()

    async def since(self, spots: Iterable[Spot], at_ms: int) -> dict[Spot, int]:
        """First offset of this time or later in each partition; its end where all is older. Raises TailUnreadable."""
        wanted = list(spots)
        return await asyncio.to_thread(self._since, wanted, at_ms) if wanted else {}

    def _since(self, spots: list[Spot], at_ms: int) -> dict[Spot, int]:
        consumer = self._consumer()
        try:
            return since(consumer, dict.fromkeys(spots, at_ms), SILENCE_SECONDS)
        except PushcastError as error:
            raise TailUnreadable(str(error)) from error
        finally:
            consumer.close()

    async def written(self, spots: Iterable[Spot]) -> dict[Spot, int]:
        """Next offset to be written in each partition, open transactions included: what is behind one may be ours, and
        is read when it ends. For take-overs. Raises TailUnreadable."""
        wanted = list(spots)
        return await asyncio.to_thread(self._written, wanted) if wanted else {}

    def _written(self, spots: list[Spot]) -> dict[Spot, int]:
        return self._asked(open_peeker(self._client, GROUP), spots)

    async def read(self, spans: Mapping[Spot, Span], on_record: Callable[[Message], None]) -> None:
        """Every record of the spans, each partition in offset order. `on_record` runs on the reading thread.

        Returns when all spans are read. A cancelled caller ends the thread within one slice. Raises TailUnreadable,
        TailHeld among them, and what `on_record` raises.
        """
        left = {spot: span for spot, span in spans.items() if span[0] < span[1]}
        if not left:
            return
        stop = threading.Event()
        try:
            await asyncio.to_thread(self._read, left, on_record, stop)
        finally:
            stop.set()

    def _read(self, spans: Mapping[Spot, Span], on_record: Callable[[Message], None], stop: threading.Event) -> None:
        consumer = self._consumer()
        try:
            consumer.assign([TopicPartition(*spot, first) for spot, (first, _) in spans.items()])
            unread = {spot: end for spot, (_, end) in spans.items()}
            silent_at = time.monotonic() + SILENCE_SECONDS
            while unread and not stop.is_set():
                messages = consumer.consume(_SLICE_RECORDS, _POLL_SECONDS)
                passed: dict[Spot, int] = {}
                for message in messages:
                    error, spot = message.error(), (cast(str, message.topic()), cast(int, message.partition()))
                    if error is not None and error.code() != KafkaError._PARTITION_EOF:
                        _raise_unless_passing(error)
                        continue
                    offset = cast(int, message.offset())
                    if error is not None:
                        # The only word of a log whose records retention took whole: no position moves there.
                        passed[spot] = offset
                    elif spot in unread and offset < unread[spot]:
                        on_record(message)
                        silent_at = time.monotonic() + SILENCE_SECONDS
                # Compaction and transaction markers leave offsets without a record: the position passes them.
                for at in consumer.position([TopicPartition(*spot) for spot in unread]):
                    spot = at.topic, at.partition
                    if max(at.offset, passed.get(spot, 0)) >= unread[spot]:
                        del unread[spot]
                        consumer.incremental_unassign([TopicPartition(*spot)])
                if unread and time.monotonic() > silent_at:
                    raise self._unread(unread)
        except KafkaException as error:
            raise TailUnreadable(str(error)) from error
        finally:
            consumer.close()

    def _unread(self, unread: Mapping[Spot, int]) -> TailUnreadable:
        """Why nothing comes: `unread` has where each span ends."""
        committed, written = self._ends(list(unread)), self._written(list(unread))
        held = [spot for spot, end in unread.items() if committed[spot] < min(end, written[spot])]
        if held:
            return TailHeld(held)
        return TailUnreadable(f"no record within {SILENCE_SECONDS:.0f} s from {sorted(unread)[:3]}")


def _raise_unless_passing(error: KafkaError) -> None:
    if not error.retriable() and error.code() not in (KafkaError._ALL_BROKERS_DOWN, KafkaError._TRANSPORT):
        raise KafkaException(error)
