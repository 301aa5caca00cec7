"""Nothing is handed over whose outcome could not be written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import pytest

from pushcast.handover.standing import Standing, decode, encode
from pushcast.kafka.refusals import OutputPlace
from pushcast.model.words import Lane, Platform
from pushcast.providers.port import Disposition, Result
from pushcast.send.decide import Policy
from pushcast.send.proof import Proof, outputs_of
from pushcast.stream.batch import TP, Committed
from pushcast.wire import topics
from pushcast.wire.sending.retries import DEFAULT_RUNGS, Ladder
from unit.send.twin import TOPIC, Harness, TwinOutbox, TwinProvider, message, send_batch

OUTPUTS = outputs_of(Platform.APNS, Lane.URGENT)


class PatientTwin(TwinOutbox):
    """Refuses what the test says."""

    def __init__(self) -> None:
        super().__init__()
        self.places: dict[OutputPlace, str] = {}

    def acked_end(self, topic: str, partition: int) -> int | None:
        return None

    def refused(self) -> Sequence[str]:
        return list(self.places.values())

    def refused_topics(self, partition: int) -> Sequence[str]:
        return [place.topic for place in self.places if place.partition == partition]

    def doubt(self, topic: str, partition: int, reason: str) -> None:
        self.places[OutputPlace(topic, partition)] = reason


class World:
    """`forbidden`: topics that brokers say must not be written."""

    def __init__(self, *forbidden: str) -> None:
        self.asked: list[tuple[list[str], list[int]]] = []
        self.forbidden = forbidden
        self.outbox = PatientTwin()
        self.provider = TwinProvider(accept=True)
        self.harness = Harness(self.provider)
        self.harness.outbox = self.outbox
        self.harness.stage = self.harness.made(proof=Proof(self.outbox, OUTPUTS, self.ask))

    async def ask(self, outputs: Iterable[str], partitions: Sequence[int]) -> Mapping[OutputPlace, str]:
        self.asked.append((list(outputs), list(partitions)))
        return {OutputPlace(topic, partition): "forbidden" for topic in self.forbidden for partition in partitions}

    async def assigned(self, metadata: str = "") -> None:
        await self.harness.stage.assigned({TP(TOPIC, 3): Committed(100, metadata)})

    def metadata(self) -> str:
        return self.harness.stage.commit_metadata(TP(TOPIC, 3), 100)


async def test_a_sender_asks_about_every_output_of_a_partition_before_it_sends_and_writes_nothing() -> None:
    world = World()
    await world.assigned()
    assert world.asked == [(list(OUTPUTS), [3])]
    assert world.outbox.log == world.outbox.pending == []
    await world.harness.feed(send_batch(message(1)))
    assert world.provider.seen == ["u0"]


@pytest.mark.parametrize("topic", OUTPUTS)
async def test_with_any_output_forbidden_nothing_leaves_and_the_next_process_is_told(topic: str) -> None:
    world = World(topic)
    await world.assigned()
    await world.harness.feed(send_batch(message(3)))
    assert world.provider.seen == []
    assert decode(world.metadata()).refused == {topic: 0}


async def test_what_waited_leaves_when_the_output_is_taken_again() -> None:
    world = World(topics.RECEIPT)
    await world.assigned()
    await world.harness.feed(send_batch(message(3)))
    world.outbox.places.clear()
    world.harness.fire()
    await world.harness.settle()
    assert len(world.outbox.receipts()) == 3
    assert decode(world.metadata()).refused == {}


async def test_what_the_process_before_was_refused_is_doubted_although_brokers_permit_it() -> None:
    world = World()
    await world.assigned(encode(Standing(refused={topics.RECEIPT: 0, "a.topic.of.another.release": 0})))
    await world.harness.feed(send_batch(message(1)))
    assert world.provider.seen == []
    assert set(world.outbox.places) == {OutputPlace(topics.RECEIPT, 3)}


async def test_a_refusal_in_the_middle_stops_what_has_not_left() -> None:
    world = World()
    await world.assigned()
    world.outbox.doubt(topics.RECEIPT, 3, "forbidden")
    await world.harness.feed(send_batch(message(3)))
    assert world.provider.seen == []


async def test_what_may_have_left_before_a_refusal_is_told_until_the_output_is_taken_again() -> None:
    """Rulings I.16: audit names those pushes, also after the process that sent them has died."""
    world = World()
    world.provider.accept = False
    await world.assigned()
    await world.harness.feed(send_batch(message(1)))  # at the provider, without an answer
    world.outbox.doubt(topics.RECEIPT, 3, "forbidden")
    await world.harness.feed(send_batch(message(1)))
    told = world.metadata()
    assert decode(told).refused == {topics.RECEIPT: 101}
    heir = World()
    await heir.assigned(told)
    assert decode(heir.metadata()).refused == {topics.RECEIPT: 101}
    heir.outbox.places.clear()
    assert decode(heir.metadata()).refused == {}
    heir.outbox.doubt(topics.RECEIPT, 3, "forbidden")
    assert decode(heir.metadata()).refused == {topics.RECEIPT: 0}, "what the first one sent has ended by now"


@pytest.mark.parametrize("platform", Platform)
async def test_what_the_keeper_hears_of_removable_pushes_is_an_output_of_every_platform(platform: Platform) -> None:
    harness = Harness(TwinProvider(script={"u0": [Result(0, Disposition.UNKNOWN)]}))
    harness.stage = harness.made(platform=platform, policy=Policy(1, Ladder(DEFAULT_RUNGS)))
    part = message(1)
    part.removable = True
    await harness.feed(send_batch(part, platform=platform))
    written = {record.topic for record in harness.outbox.log}
    assert topics.RECALLABLE in written
    assert written <= set(outputs_of(platform, Lane.URGENT))


def test_senders_of_expo_write_tickets_too() -> None:
    assert topics.ticket(Platform.EXPO) in outputs_of(Platform.EXPO, Lane.BULK)
    assert len(OUTPUTS) == len(outputs_of(Platform.EXPO, Lane.BULK)) - 1
