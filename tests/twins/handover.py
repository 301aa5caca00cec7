"""One partition of a Kafka on which processes hand a stage over: writes land late, and some processes live on."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from pushcast.handover.fences import Fences, author_of
from pushcast.handover.reading import Span, Spot
from twins.kafka import Produced, TwinOutbox


class Message(NamedTuple):
    """As confluent-kafka has it."""

    produced: Produced
    at: int

    def topic(self) -> str:
        return self.produced.topic

    def partition(self) -> int:
        return self.produced.partition

    def offset(self) -> int:
        return self.at

    def value(self) -> bytes | None:
        return self.produced.value

    def headers(self) -> list[tuple[str, bytes | None]]:
        return list(self.produced.headers)


class Log:
    """What the topics hold in this partition, and what a hand-over reads of it."""

    def __init__(self, partition: int) -> None:
        self.partition_number = partition
        self.log: list[Produced] = []

    def end(self, topic: str) -> int:
        return sum(produced.topic == topic for produced in self.log)

    async def ends(self, spots: Iterable[Spot]) -> dict[Spot, int]:
        return {spot: self.end(spot[0]) for spot in spots}

    async def since(self, spots: Iterable[Spot], at_ms: int) -> dict[Spot, int]:
        return dict.fromkeys(spots, 0)

    async def written(self, spots: Iterable[Spot]) -> dict[Spot, int]:
        return await self.ends(spots)

    async def read(self, spans: Mapping[Spot, Span], on_record: Callable[[Any], None]) -> None:
        for (topic, _), (first, end) in spans.items():
            for message in self.messages(topic)[first:end]:
                on_record(message)

    def messages(self, topic: str) -> list[Message]:
        return [Message(each, at) for at, each in enumerate(each for each in self.log if each.topic == topic)]

    def valid(self, topic: str, *, void: bool = True) -> list[Message]:
        """Records that count, for a reader that starts at the beginning; with `void` off all but the fences."""
        fences = Fences()
        found = []
        for message in self.messages(topic):
            author = author_of(message.headers())
            if fences.admit(author, message.at) or not (void or (author is not None and author.fence)):
                found.append(message)
        return found


class Process(TwinOutbox):
    """A process's producer on the log."""

    def __init__(self, world: Log) -> None:
        super().__init__(log=world.log)
        self.world = world
        self.acked_ends: dict[str, int] = {}

    def acked_end(self, topic: str, partition: int) -> int | None:
        assert partition == self.world.partition_number
        return self.acked_ends.get(topic)

    def acknowledge(self, index: int = 0) -> Produced:
        # The end is known before the barrier settles, as in the real outbox.
        topic = self.pending[index][1].topic
        self.acked_ends[topic] = self.world.end(topic) + 1
        return super().acknowledge(index)

    def land(self, rnd: random.Random) -> None:
        """One write reaches Kafka; writes to one topic in order."""
        if self.pending:
            topic = rnd.choice(sorted({produced.topic for _, produced in self.pending}))
            index = next(at for at, (_, produced) in enumerate(self.pending) if produced.topic == topic)
            self.acknowledge(index)

    def die(self, rnd: random.Random) -> None:
        """The process is killed: some of what it wrote still lands, in order."""
        del self.pending[rnd.randint(0, len(self.pending)) :]
