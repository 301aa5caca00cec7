"""What of a broadcast the keeper held and let go: planned as the broadcast's own deliveries (rulings II.8)."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from pushcast.config.caps import Cap
from pushcast.config.classes import Class
from pushcast.model.batch import NoteKind
from pushcast.model.broadcast import Broadcast, Instant
from pushcast.model.ids import broadcast_delivery_id, device_row_key
from pushcast.model.quiet import DAYS
from pushcast.model.words import Lane, Reason, Source
from pushcast.wire import topics
from pushcast.wire.answers.counted import decode_counted
from pushcast.wire.answers.dead_letters import PUSH
from pushcast.wire.answers.receipts import is_part_of_broadcast
from pushcast.wire.events.broadcasts import BroadcastDecoder
from pushcast.wire.events.class_rules import class_rules
from pushcast.wire.events.orders import Order, encode_order
from pushcast.wire.headers import first
from pushcast.wire.waiting.held import held_of
from pushcast.wire.waiting.held_broadcasts import HeldBroadcast, content_of, encode_held
from twins.kafka import Produced
from twins.plan import T0, PlanHarness, users_of

(ANN,) = users_of(3, 1)
KEEP = topics.keep(Lane.NORMAL)
WALK_OFFSET = 7
NIGHT = {"quiet_hours": [{"days": list(DAYS), "from": "22:00", "to": "07:00"}]}
CLASSES = {
    "default": Class(window_seconds=0, caps="ignore", counted=False),
    "promo": Class(window_seconds=0),
    "gathered": Class(window_seconds=0, quiet="digest", caps="ignore", counted=False),
}


def delivery(device: str, broadcast: str = "b-1") -> bytes:
    return broadcast_delivery_id(broadcast, device_row_key(ANN, "news", device))


class Held(PlanHarness):
    """The planner of a user whose devices a walk has passed."""

    def __init__(self, *caps: Cap, instant: Instant | None = None, klass: str = "default", **fields: Any) -> None:
        super().__init__(classes=CLASSES, caps=caps, apps={"news": NIGHT})
        event: dict[str, Any] = {
            "id": "b-1",
            "app": "news",
            "class": klass,
            "title": "Goal!",
            "audience": {"all": True},
        }
        event |= {"created_at": T0 - 9, **fields}
        decoder = BroadcastDecoder({"news"}, class_rules(CLASSES))
        found = decoder.decode(None, json.dumps(event).encode(), T0 - 9)
        frozen = found.frozen(lambda _: None, instants=() if instant is None else [instant])
        if instant is not None:
            frozen = msgspec.json.encode({**msgspec.json.decode(frozen), "step": 1})
        self.event = frozen
        order = Order("b-1", "cluster/topic", 0, T0 - 9, False, "", frozen)
        self.orders[3, WALK_OFFSET] = encode_order(order)
        self.broadcast: Broadcast = found.broadcast

    def part(self, *devices: str, variant: str = "") -> bytes:
        """What the keeper held."""
        ids = b"".join(map(delivery, devices))
        content = content_of(self.event)
        return encode_held(HeldBroadcast("b-1", ANN, WALK_OFFSET, content, variant, ids, b"x" * len(ids)))

    def kept(self) -> list[Produced]:
        return [each for each in self.outbox.log if each.topic == KEEP]


async def test_the_devices_that_waited_get_the_broadcasts_own_deliveries_under_an_account_of_their_own() -> None:
    harness = Held(campaign="sale")
    for device in ("a", "b", "late"):
        harness.device(ANN, device)
    await harness.let_go(ANN, harness.part("a", "b", "gone"))
    [batch] = harness.batches()
    [message] = batch.messages
    assert (batch.source, message.content.title, message.app) == (Source.DUE, "Goal!", "news")
    assert message.targets.delivery_id == [delivery("a"), delivery("b")], "not the device that the walk never passed"
    assert (message.notification_ids, message.notes.broadcast) == (["b-1"], ["b-1"])
    assert (message.notes.kind, message.notes.campaign) == ([NoteKind.BROADCAST], ["sale"])
    [planned] = harness.planned_records()
    assert (planned.source, planned.rows(), planned.facts[0].broadcast) == (Source.DUE, [(0, "b-1", 2, "")], True)


async def test_a_variant_is_the_one_of_the_walk() -> None:
    variants = [{"name": "a", "share": 5000}, {"name": "b", "share": 5000, "title": "Arsenal!"}]
    harness = Held(split={"variants": variants})
    harness.device(ANN, "a")
    await harness.let_go(ANN, harness.part("a", variant="b"))
    [message] = harness.batches()[0].messages
    assert (message.content.title, message.notes.variant) == ("Arsenal!", ["b"])


async def test_a_timed_broadcast_was_due_at_its_instant() -> None:
    harness = Held(instant=Instant(T0 - 5, T0 + 10**8))
    harness.device(ANN, "a")
    await harness.let_go(ANN, harness.part("a"))
    [message] = harness.batches()[0].messages
    assert message.notes.label(0).due_at == T0 + 1_000, "when the keeper let it go"


async def test_nobody_left_is_one_receipt_of_the_broadcast() -> None:
    harness = Held()
    await harness.let_go(ANN, harness.part("a"))
    await harness.pass_time(30)
    await harness.acknowledge()
    [receipt] = harness.receipts()
    assert (receipt["outcome"], receipt["reason"]) == ("suppressed", "no_devices")
    assert (receipt["source"], receipt["notification_id"]) == (Source.DUE, "b-1")
    assert is_part_of_broadcast(receipt)


async def test_what_the_keeper_ends_is_one_receipt_of_the_broadcast() -> None:
    harness = Held()
    harness.device(ANN, "a")
    await harness.let_go(ANN, harness.part("a"), closes="cancelled")
    [receipt] = harness.receipts()
    assert (receipt["outcome"], is_part_of_broadcast(receipt)) == ("cancelled", True)


async def test_a_device_without_a_zone_is_where_its_user_is_whichever_devices_the_part_names() -> None:
    harness = Held()
    harness.device(ANN, "a")
    harness.device(ANN, "b", time_zone="America/Los_Angeles")  # midnight; it had the broadcast at once
    await harness.let_go(ANN, harness.part("a"))
    assert len(harness.kept()) == 1
    assert harness.batches() == []


@pytest.mark.parametrize("klass", ["default", "gathered"])
async def test_a_device_in_quiet_hours_goes_back_with_what_tells_it_apart(klass: str) -> None:
    harness = Held(klass=klass)
    harness.device(ANN, "a", time_zone="America/Los_Angeles")  # midnight
    harness.device(ANN, "b", time_zone="Europe/Berlin")
    value = harness.part("a", "b")
    await harness.let_go(ANN, value)
    [back] = harness.kept()
    held = held_of(back.headers)
    assert (back.value, held.note_id, held.part, held.broadcast) == (value, "b-1", 1, f"{WALK_OFFSET}:")
    sent = [device for each in harness.batches() for message in each.messages for device in message.targets.device]
    assert (sent, len(held.done)) == (["b"], 8), "the device that has it is named"
    [planned] = harness.planned_records()
    assert (planned.facts[0].held, planned.facts[0].broadcast) == (1, True)


async def test_a_capped_one_asks_the_keeper_and_tells_him_what_it_was_planned_to() -> None:
    harness = Held(Cap(name="two", limit=2, window_seconds=60), klass="promo")
    harness.device(ANN, "a")
    await harness.let_go(ANN, harness.part("a"))
    assert [held_of(each.headers).broadcast for each in harness.kept()] == [f"{WALK_OFFSET}:"]
    assert harness.batches() == []
    again = Held(Cap(name="two", limit=2, window_seconds=60), klass="promo")
    again.device(ANN, "a")
    await again.let_go(ANN, again.part("a"), passed="frequency_cap")
    [message] = again.batches()[0].messages
    assert message.counted
    told = [decode_counted(each.value) for each in again.outbox.log if each.topic == topics.COUNTED]
    assert [(each.notification_id, each.planned) for each in told] == [("b-1", 1)]


@pytest.mark.parametrize("change", ["gone", "other"])
async def test_an_order_that_is_not_there_any_more_is_a_dead_letter_that_says_where(change: str) -> None:
    harness = Held()
    harness.device(ANN, "a")
    part = harness.part("a")
    if change == "gone":
        harness.orders.clear()
    else:
        harness.orders[3, WALK_OFFSET] = encode_order(Order("b-1", "c/t", 0, T0, False, "", b"{}"))
    await harness.let_go(ANN, part)
    [letter] = [each for each in harness.outbox.log if each.topic == topics.dead_letter(topics.due(Lane.NORMAL))]
    assert first(letter.headers, PUSH + "reason") == Reason.INVALID_FIELD.encode()
    assert harness.batches() == []


async def test_a_notification_of_the_same_id_has_other_deliveries() -> None:
    harness = Held()
    harness.device(ANN, "a")
    await harness.let_go(ANN, {"id": "b-1", "app": "news", "title": "other"})
    [message] = harness.batches()[0].messages
    assert message.targets.delivery_id != [delivery("a")]
    assert message.notes.broadcast is None
