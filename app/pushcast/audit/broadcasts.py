"""Reads broadcasts from Kafka: which there are, and how one goes on, as its legs and receipts come in."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, NamedTuple, cast

from confluent_kafka import KafkaException, Message, TopicPartition

from pushcast.audit.left_out import LeftOutRecords
from pushcast.audit.progress import Progress
from pushcast.config.settings import Settings
from pushcast.handover.writers import Writers
from pushcast.kafka.clients import client_config, open_consumer
from pushcast.kafka.headers import headers_of
from pushcast.kafka.positions import Spot, open_positions
from pushcast.model.errors import PushcastError
from pushcast.model.words import Lane, Reason
from pushcast.wire import topics
from pushcast.wire.answers.legs import decode_leg, rows_of
from pushcast.wire.answers.receipt_reader import read_placed
from pushcast.wire.answers.receipts import decode_planned
from pushcast.wire.events.orders import Order, base_log, decode_order, steps_of
from pushcast.wire.times import rfc3339

TIMEOUT_SECONDS: Final = 15.0
_POLL_RECORDS: Final = 5_000


class FoundBroadcast(NamedTuple):
    """A broadcast in the register of its lane."""

    lane: Lane
    order: Order

    def to_dict(self) -> dict[str, Any]:
        """For JSON; `reason`: why it was not walked, as a duplicate."""
        return {
            "id": self.order.broadcast,
            "lane": str(self.lane),
            "at": rfc3339(self.order.recorded_at),
            "count_only": self.order.count_only,
            "reason": self.order.reason or None,
        }


class BroadcastBooks:
    """A reader of one cluster. Not thread-safe; close it. Raises KafkaException, PushcastError without an answer."""

    def __init__(self, settings: Settings) -> None:
        self._partitions = settings.kafka.partitions
        self._left_out = LeftOutRecords()
        client = client_config(settings.kafka.bootstrap_servers, settings.kafka.security, tool=True)
        self._positions = open_positions(client)
        reading = {**client, "auto.offset.reset": "earliest", "fetch.wait.max.ms": 50}
        self._consumer = open_consumer(reading, "pushcast-broadcasts")

    def close(self) -> None:
        self._consumer.close()

    def __enter__(self) -> BroadcastBooks:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def spread(self, lanes: Sequence[Lane] = tuple(Lane)) -> list[FoundBroadcast]:
        """The order of every event in partition 0, oldest first within its lane; duplicates and counts among them."""
        return [
            FoundBroadcast(lane, order)
            for lane in lanes
            for _, order in self._orders(lane, [0])
            if order.intake_id == base_log(order.intake_id)
        ]

    def find(self, broadcast_id: str, lanes: Sequence[Lane] = tuple(Lane)) -> FoundBroadcast | None:
        """The broadcast of this id, else its newest count; None when it was not spread (yet)."""
        mine = [found for found in self.spread(lanes) if found.order.broadcast == broadcast_id]
        for found in mine:
            if not found.order.count_only and found.order.reason != Reason.DUPLICATE:
                return found
        return mine[-1] if mine else None

    def _orders(self, lane: Lane, partitions: Sequence[int]) -> Iterator[tuple[tuple[int, int], Order]]:
        """((partition, offset), order), each broadcast event once."""
        spots = [(topics.walk(lane), partition) for partition in partitions]
        starts, ends = self._positions.starts(spots), self._positions.ends(spots)
        high: dict[tuple[int, str], int] = {}
        for message in self._between(starts, ends):
            order = self._left_out.decoded(message, decode_order)
            if order is None:
                continue
            partition = cast(int, message.partition())
            if order.intake_offset > high.get((partition, order.intake_id), -1):
                high[partition, order.intake_id] = order.intake_offset
                yield (partition, cast(int, message.offset())), order

    def _between(self, starts: dict[Spot, int], ends: dict[Spot, int]) -> Iterator[Message]:
        """Records that count, up to the ends."""
        left = {spot: end for spot, end in ends.items() if starts.get(spot, 0) < end}
        self._consumer.assign([TopicPartition(*spot, starts[spot]) for spot in left])
        writers = {spot: Writers() for spot in left}
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while left:
            messages = self._consumer.consume(_POLL_RECORDS, 0.1)
            if messages:
                deadline = time.monotonic() + TIMEOUT_SECONDS
            elif time.monotonic() > deadline:
                raise PushcastError(f"no records from {sorted(left)[:3]} within {TIMEOUT_SECONDS:.0f} s")
            for message in messages:
                if message.error():
                    raise KafkaException(message.error())
                spot = str(message.topic()), cast(int, message.partition())
                counts = writers[spot].stands(headers_of(message), cast(int, message.offset()))
                if counts and message.value() is not None and cast(int, message.offset()) < ends[spot]:
                    yield message
            for at in self._consumer.position([TopicPartition(*spot) for spot in left]):
                if at.offset >= left[at.topic, at.partition]:
                    del left[at.topic, at.partition]

    def follow(
        self,
        found: FoundBroadcast,
        timeout_seconds: float,
        on_change: Callable[[Progress], None] = lambda progress: None,
        *,
        once: bool = False,
    ) -> Progress:
        """Reads legs and receipts from the broadcast's time on. `once`: returns with what there is now; otherwise when
        the broadcast has finished, or at the timeout. `on_change` is called about once a second."""
        said = steps_of(found.order)
        steps, via = said.count, said.fan_out
        progress = Progress(found.order.broadcast, str(found.lane), self._partitions, steps=steps, via=via)
        followed = (topics.WALKED, topics.PLANNED, topics.RECEIPT, *([topics.walk(found.lane)] if steps > 1 else []))
        spots = [(topic, p) for topic in followed for p in range(self._partitions)]
        ends = self._positions.ends(spots)
        # A minute before: the clocks of planners and of the broker differ.
        since = self._positions.at(dict.fromkeys(spots, max(0, found.order.recorded_at - 60_000)))
        starts = {spot: since.get(spot, ends[spot]) for spot in spots}
        self._find_orders(found, progress)
        if once:
            for message in self._between(starts, ends):
                _fold(found, progress, message, self._left_out)
            return progress
        self._consumer.assign([TopicPartition(*spot, start) for spot, start in starts.items()])
        writers = {spot: Writers() for spot in spots}
        deadline, told = time.monotonic() + timeout_seconds, 0.0
        while not progress.finished and time.monotonic() < deadline:
            for message in self._consumer.consume(_POLL_RECORDS, 0.2):
                if message.error():
                    continue  # a broker is away: the next poll goes on
                spot = str(message.topic()), cast(int, message.partition())
                if writers[spot].stands(headers_of(message), cast(int, message.offset())):
                    _fold(found, progress, message, self._left_out)
            if time.monotonic() - told >= 1.0:
                told = time.monotonic()
                on_change(progress)
        on_change(progress)
        return progress

    def _find_orders(self, found: FoundBroadcast, progress: Progress) -> None:
        """Waits until SPREAD has written all of them, which takes milliseconds, or its successor has."""
        deadline = time.monotonic() + TIMEOUT_SECONDS
        scheduled = found.order.reason == Reason.SCHEDULED  # of a week ago: the other partitions forgot it
        while len(progress.orders) < self._partitions and time.monotonic() < deadline:
            if scheduled and progress.orders:
                return
            for (partition, offset), order in self._orders(found.lane, range(self._partitions)):
                _fold_order(found, progress, partition, offset, order)


def _fold(found: FoundBroadcast, progress: Progress, message: Message, left_out: LeftOutRecords) -> None:
    topic, partition, value = message.topic(), cast(int, message.partition()), message.value()
    if value is None:
        return
    if topic == topics.WALKED:
        found_leg = left_out.decoded(message, lambda it: (decode_leg(it), rows_of(headers_of(message))))
        if found_leg is not None:
            progress.leg(partition, *found_leg)
    elif topic == topics.RECEIPT:
        if (placed := left_out.decoded(message, read_placed)) is not None:
            progress.receipt(*placed)
    elif topic == topics.PLANNED:
        if progress.id.encode() in value and (planned := left_out.decoded(message, decode_planned)) is not None:
            progress.released(partition, planned)
    elif (order := left_out.decoded(message, decode_order)) is not None:
        _fold_order(found, progress, partition, cast(int, message.offset()), order)


def _fold_order(found: FoundBroadcast, progress: Progress, partition: int, offset: int, order: Order) -> None:
    """An order of whatever broadcast. A copy is not above the first of its step, and is left out."""
    first = found.order
    if order.broadcast != first.broadcast or base_log(order.intake_id) != base_log(first.intake_id):
        return
    later = order.intake_id != base_log(order.intake_id)
    if not later and order.intake_offset != first.intake_offset:
        return  # the same id again
    step = steps_of(order).step if later else 0
    if all((at, known) != (partition, step) for (at, _), known in progress.orders.items()):
        progress.order(partition, offset, step)
