"""A sender that is killed at any moment: whatever receipt Kafka has, it has the dead letter, the ticket or the token
report that belongs to it, too."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pushcast.model.words import Platform
from pushcast.providers.port import Disposition, Result
from pushcast.send.decide import Policy
from pushcast.wire import topics
from pushcast.wire.sending.batches import decode_batch
from pushcast.wire.sending.retries import DEFAULT_RUNGS, Ladder
from pushcast.wire.sending.tickets import decode_tickets
from twins.kafka import TwinBarrier
from unit.send.twin import Harness, TwinOutbox, TwinProvider, failed, message, ok, send_batch

ANSWERS = [
    ok(0)._replace(provider_id="ticket"),
    failed(Disposition.INVALID, "device_unregistered", status=410),
    failed(Disposition.RETRY, "provider_error", status=500),
    failed(Disposition.REJECTED, "bad_request", status=400),
]


class HastyBarrier(TwinBarrier):
    """Does not wait: the rule switched off."""

    def on_acked(self, callback: Callable[[], None], on_refused: object = None) -> None:
        callback()


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32))
def test_no_receipt_is_there_without_its_companion_whenever_the_sender_is_killed(seed: int) -> None:
    assert asyncio.run(orphans(Random(seed), TwinBarrier)) == set()


def test_receipts_that_wait_for_nothing_are_there_without_their_companions() -> None:
    for platform in (Platform.APNS, Platform.EXPO):
        assert any(asyncio.run(orphans(Random(seed), HastyBarrier, platform)) for seed in range(100))


async def test_a_delivery_is_over_when_its_receipt_is_acknowledged_and_not_before() -> None:
    harness = sender(TwinProvider(script={"u0": [ANSWERS[1]]}), Platform.APNS)
    await harness.feed(send_batch(message(1)))
    harness.outbox.acknowledge()
    assert [each.topic for each in harness.outbox.log] == [topics.TOKEN_INVALID]
    assert (harness.committable(), harness.budget.held) == (100, 1)
    harness.outbox.acknowledge()
    await harness.settle()
    assert (harness.committable(), harness.budget.held) == (101, 0)


@pytest.mark.parametrize(("answer", "waits"), [(ok(0), False), (ANSWERS[3], False), (ANSWERS[2], True)])
async def test_only_a_delivery_with_a_companion_waits_for_one(answer: Result, waits: bool) -> None:
    harness = sender(TwinProvider(script={"u0": [answer]}), Platform.APNS)
    await harness.feed(send_batch(message(1)))
    assert (topics.RECEIPT not in {each.topic for _, each in harness.outbox.pending}) is waits


def sender(provider: TwinProvider, platform: Platform) -> Harness:
    """Whose only attempt is the last."""
    harness = Harness(provider, acks=False)
    harness.stage = harness.made(platform=platform, policy=Policy(1, Ladder(DEFAULT_RUNGS, attempts=1)))
    return harness


async def orphans(random: Random, barrier: type[TwinBarrier], platform: Platform | None = None) -> set[str]:
    """Deliveries whose receipt was acknowledged and whose companion was not, when the sender was killed."""
    platform = platform or random.choice([Platform.APNS, Platform.EXPO])
    provider = TwinProvider(script={f"u{n}": [random.choice(ANSWERS)] for n in range(20)})
    harness = sender(provider, platform)
    harness.outbox.barrier = barrier  # type: ignore[method-assign]
    for number in range(random.randint(1, 4)):
        part = send_batch(message(5, first_user=5 * number, name=f"n{number}"), platform=str(platform))
        await harness.feed(part)
        for _ in range(random.randint(0, 4)):
            acknowledge_some(harness.outbox, random)
            await harness.settle(4)
    return without_companion(harness.outbox)


def acknowledge_some(outbox: TwinOutbox, random: Random) -> None:
    """In the order of each topic, and of topics in any."""
    places: dict[str, list[int]] = defaultdict(list)
    for at, (_, record) in enumerate(outbox.pending):
        places[record.topic].append(at)
    outbox.acknowledge([at for those in places.values() for at in those[: random.randint(0, len(those))]])


def without_companion(outbox: TwinOutbox) -> set[str]:
    invalid = {event.delivery_id for event in outbox.invalid_tokens()}
    tickets = {
        each.hex()
        for record in outbox.log
        if record.topic == topics.ticket(Platform.EXPO)
        for each in decode_tickets(record.value or b"").delivery_id
    }
    letters = {
        each.hex()
        for record in outbox.log
        if record.topic.endswith(topics.DEAD_LETTER_SUFFIX)
        for part in decode_batch(record.value or b"").messages
        for each in part.targets.delivery_id
    }
    found = set()
    for receipt in outbox.receipts():
        there = {"invalid": invalid, "dead": letters}.get(receipt["outcome"])
        if receipt["outcome"] == "accepted" and receipt["platform"] == "expo":
            there = tickets
        if there is not None and receipt["delivery_id"] not in there:
            found.add(receipt["delivery_id"])
    return found
