"""Who had an earlier broadcast: read of its deliveries and receipts in a partition, for one that leaves them out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

from pushcast.handover.following import Following
from pushcast.handover.reading import SpanReader
from pushcast.model.broadcast import UNFINISHED, NotTo
from pushcast.model.words import Lane, Platform
from pushcast.wire import topics
from pushcast.wire.answers.receipts import decode_receipt, is_part_of_broadcast, takes_place
from pushcast.wire.sending.batches import decode_batch
from pushcast.wire.waiting.held_broadcasts import decode_held, is_held_broadcast

#: Reads the delivery ids, of the earlier broadcast and this partition, whose devices are left out.
Served = Callable[[int, NotTo], Awaitable[frozenset[bytes]]]


class Deliveries:
    """The deliveries of one broadcast in one partition, and how they stand. Pure.

    Memory: about 200 bytes for each of them while they are read, 100 afterwards.
    """

    def __init__(self, lane: str, broadcast: str) -> None:
        self._lane = lane
        self._broadcast = broadcast
        self._planned: set[bytes] = set()
        self._ended: dict[bytes, tuple[int, str]] = {}  # run, outcome

    def batch(self, value: bytes) -> None:
        """A record of a send topic."""
        for message in decode_batch(value).messages:
            mine = {place for place, each in enumerate(message.notes.broadcast or ()) if each == self._broadcast}
            targets = message.targets
            for place, delivery in zip(targets.notification, targets.delivery_id, strict=True):
                if place in mine:
                    self._planned.add(delivery)

    def held(self, value: bytes) -> None:
        """A record of the keep topic: its deliveries are still to come."""
        if is_held_broadcast(value) and (waits := decode_held(value)).broadcast == self._broadcast:
            self._planned.update(waits.delivery_ids)

    def receipt(self, value: bytes) -> None:
        """A record of the receipts; of a delivery the last run counts."""
        found = decode_receipt(value)
        mine = found["notification_id"] == self._broadcast and found["lane"] == self._lane
        if not mine or not is_part_of_broadcast(found):
            return
        delivery = bytes.fromhex(found["delivery_id"])
        if takes_place(found["run"], self._ended.get(delivery)):
            self._ended[delivery] = found["run"], found["outcome"]

    def that_stand(self, outcomes: frozenset[str]) -> frozenset[bytes]:
        """Deliveries that ended so, and with UNFINISHED those that have not ended."""
        ended = [delivery for delivery, (_, outcome) in self._ended.items() if outcome in outcomes]
        return frozenset(ended).union(self._planned - self._ended.keys() if UNFINISHED in outcomes else ())


def served_by(reader: SpanReader, lane: Lane, counters: Counter[str]) -> Served:
    """Of one lane. `counters`: of `pass_over`. Raises TailUnreadable and NewerSchema, which are tried again."""

    async def ask(partition: int, not_to: NotTo) -> frozenset[bytes]:
        deliveries, needle = Deliveries(lane, not_to.broadcast), not_to.broadcast.encode()
        takes = {topics.RECEIPT: deliveries.receipt, topics.keep(lane): deliveries.held}
        takes |= {topics.send(platform, lane): deliveries.batch for platform in Platform}

        def fold(message: Any) -> None:
            value = message.value()
            if needle in value:
                takes[message.topic()](value)

        await Following(reader, [(topic, partition) for topic in takes], not_to.since_ms, counters).read(fold)
        return deliveries.that_stand(not_to.outcomes)

    return ask
