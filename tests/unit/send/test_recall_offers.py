"""What the keeper hears of removable pushes: rulings II.12, for services that delete what they have not delivered."""

from __future__ import annotations

import msgspec
import orjson
import pytest

from pushcast.model.batch import KINDS, Message, Notes
from pushcast.model.words import Platform
from pushcast.providers.port import Disposition, Result
from pushcast.send.decide import Policy
from pushcast.wire import topics
from pushcast.wire.sealing.seals import Place, TokenKeys
from pushcast.wire.sending.recall_offers import decode_offer, encode_offer
from pushcast.wire.sending.retries import DEFAULT_RUNGS, Ladder
from unit.send.twin import Harness, TwinProvider, message, ok, send_batch

CREATED_AT = 1_700_000_000_000
MOZILLA = "https://updates.push.services.mozilla.com/wpush/v2/abc"
KEYS = {
    "p256dh": "BNcRdreALRFXTkOOUHK1EtK2wtaz5Ry4YfYCA_0QTpQtUbVlUls0VJXg7A8u-Ts1XbjhazAkj7I99e8QcYP7DkM",
    "auth": "tBHItJI5svbpez7KI4CCXg",
}


class Replacing(TwinProvider):
    """Its removals replace what they take back."""

    def tag_of(self, message: Message, target: int) -> str:
        return f"tag-{message.targets.device[target]}"


async def written(
    endpoint: str, *, removable: bool = True, named: bool = True, replaces: bool = False, doubtful: bool = False
) -> Harness:
    answer = ok(0)._replace(provider_id="m1" if named else None)
    answer = Result(0, Disposition.UNKNOWN, "timeout") if doubtful else answer
    script = {"u0": [answer]}
    harness = Harness(Replacing(script=script) if replaces else TwinProvider(script=script), acks=False)
    harness.stage = harness.made(platform=Platform.WEBPUSH, policy=Policy(1, Ladder(DEFAULT_RUNGS, attempts=1)))
    part = message(1)
    part.removable = removable
    part.options = msgspec.structs.replace(part.options, thread_id="t1")
    part.created_at[0] = CREATED_AT
    part.notes = Notes(campaign=["xmas"])
    part.targets.address[0] = orjson.dumps({"endpoint": endpoint, **KEYS})
    await harness.feed(send_batch(part, platform="webpush"))
    return harness


async def test_the_keeper_hears_of_it_before_its_receipt_is_written() -> None:
    harness = await written(MOZILLA)
    harness.outbox.acknowledge()
    [record] = harness.outbox.log
    assert (record.topic, record.key) == (topics.RECALLABLE, b"u0")
    offer = decode_offer(record.value or b"")
    assert (offer.notification_id, offer.app, offer.device) == ("n", "news", "d0")
    assert (offer.platform, offer.outcome) == ("webpush", "accepted")
    harness.outbox.acknowledge()
    await harness.settle()
    [receipt] = harness.outbox.receipts()
    assert (receipt["delivery_id"], receipt["provider_id"]) == (offer.delivery_id, offer.provider_id)


@pytest.mark.parametrize(("endpoint", "named"), [(MOZILLA, False), ("https://fcm.googleapis.com/fcm/send/x", True)])
async def test_of_what_its_service_cannot_take_back_it_hears_without_a_name(endpoint: str, named: bool) -> None:
    harness = await written(endpoint, named=named)
    harness.outbox.acknowledge()
    [record] = harness.outbox.log
    assert decode_offer(record.value or b"").provider_id is None


@pytest.mark.parametrize("doubtful", [False, True])
async def test_a2_it_hears_what_a_removal_is_to_replace_also_of_a_try_that_may_have_arrived(doubtful: bool) -> None:
    harness = await written("https://fcm.googleapis.com/fcm/send/x", replaces=True, doubtful=doubtful)
    await harness.settle()
    harness.outbox.acknowledge()
    [record] = [each for each in harness.outbox.log if each.topic == topics.RECALLABLE]
    offer = decode_offer(record.value or b"")
    assert (offer.tag, offer.provider_id, offer.outcome) == ("tag-d0", None, "doubtful" if doubtful else "accepted")
    assert decode_offer(encode_offer(offer, generation=1)).tag is None


async def test_d8_of_a_sealed_address_it_hears_what_of_an_open_one() -> None:
    """Only the sender can tell which service it is, and it tells nothing else of it."""
    keys, address = TokenKeys({"t1": bytes(32)}, "t1"), orjson.dumps({"endpoint": MOZILLA, **KEYS})
    provider = TwinProvider(script={"u0": [ok(0)._replace(provider_id="m1")]})
    harness = Harness(provider, acks=False)
    harness.stage = harness.made(platform=Platform.WEBPUSH, keys=lambda: keys)
    part = message(1)
    part.removable = True
    part.targets.kind[0] = KINDS.index("subscription")
    place = Place(part.app, "webpush", "subscription", "u0", "d0")
    part.targets.key_id[0], part.targets.address[0] = keys.seal(address, place, bytes(12))
    await harness.feed(send_batch(part, platform="webpush"))
    harness.outbox.acknowledge()
    [record] = [each for each in harness.outbox.log if each.topic == topics.RECALLABLE]
    assert decode_offer(record.value or b"").provider_id is not None, "Mozilla deletes it"
    assert b"mozilla" not in (record.value or b"")


async def test_a6_it_hears_of_thread_campaign_and_since_when_unless_the_release_before_must_read_it() -> None:
    harness = await written(MOZILLA)
    harness.outbox.acknowledge()
    offer = decode_offer(harness.outbox.log[0].value or b"")
    assert (offer.thread, offer.campaign, offer.created_at) == ("t1", "xmas", CREATED_AT)
    assert decode_offer(encode_offer(offer, generation=1)) == offer._replace(
        thread=None, campaign=None, created_at=None
    )


async def test_each_of_several_small_messages_is_told_with_its_own_thread() -> None:
    harness = Harness(TwinProvider(script={"u0": [ok(0)], "u1": [ok(0)]}), acks=False)
    parts = [message(1, name=f"n-{number}", first_user=number) for number in range(2)]
    for number, part in enumerate(parts):
        part.removable = True
        part.options = msgspec.structs.replace(part.options, thread_id=f"t{number}")
    await harness.feed(send_batch(*parts))
    harness.outbox.acknowledge()
    offers = [decode_offer(each.value or b"") for each in harness.outbox.log]
    assert [(offer.notification_id, offer.thread) for offer in offers] == [("n-0", "t0"), ("n-1", "t1")]


async def test_of_classes_that_are_not_removable_it_hears_nothing() -> None:
    harness = await written(MOZILLA, removable=False)
    assert [record.topic for _, record in harness.outbox.pending] == [topics.RECEIPT]


@pytest.mark.parametrize(("disposition", "told"), [(Disposition.UNKNOWN, 1), (Disposition.RETRY, 0)])
async def test_a2_it_hears_of_a_try_that_may_have_arrived_and_of_none_that_was_refused(
    disposition: Disposition, told: int
) -> None:
    harness = Harness(TwinProvider(script={"u0": [Result(0, disposition, "timeout")]}))
    harness.stage = harness.made(policy=Policy(1, Ladder(DEFAULT_RUNGS, attempts=5)))
    part = message(1)
    part.removable = True
    await harness.feed(send_batch(part))
    await harness.settle()
    offers = [decode_offer(each.value or b"") for each in harness.outbox.log if each.topic == topics.RECALLABLE]
    assert [(offer.notification_id, offer.device, offer.outcome) for offer in offers] == [
        ("n", "d0", "doubtful")
    ] * told
    assert [each.topic for each in harness.outbox.log if each.topic.startswith("push.retry")] == ["push.retry.10s.v1"]
