"""One delivery that the provider fans out."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pushcast.model.batch import KINDS
from pushcast.model.device import AddressKind
from pushcast.model.ids import broadcast_delivery_id, device_row_key, token_hash
from pushcast.walk.errand import Errand
from pushcast.walk.legs import OrderWalk, PlannedDelivery
from pushcast.wire.events.broadcasts import BroadcastDecoder
from pushcast.wire.events.class_rules import ClassRule
from pushcast.wire.events.orders import Order
from pushcast.wire.sending.batches import decode_batch
from unit.walk.twin import T0

USER = "broadcast:b-1"


def errand(audience: dict[str, Any], walk: OrderWalk | None = None, **fields: Any) -> Errand:
    event = {"id": "b-1", "app": "news", "title": "Goal!", "audience": audience, "via": "fcm_topic", **fields}
    found = BroadcastDecoder({"news"}, {"default": ClassRule(60_000)}).decode(None, json.dumps(event).encode(), T0)
    order = Order("b-1", "cluster/topic", 0, T0, False, "", b"")
    return Errand("bulk", walk or OrderWalk(7, {}), order, found.broadcast, 500, 524_288, now_ms=lambda: T0)


@pytest.mark.parametrize(
    ("audience", "kind", "address"),
    [
        ({"topics": ["news-uk"]}, AddressKind.TOPIC, "news-uk"),
        ({"condition": "'a' in topics"}, AddressKind.CONDITION, "'a' in topics"),
    ],
)
def test_fact_52_a_topic_is_one_target_of_its_own_user(
    audience: dict[str, Any], kind: AddressKind, address: str
) -> None:
    made = errand(audience)
    leg = made.walk.begin({})
    assert not made.looks_at_rows
    assert list(made.take(leg, [])) == []
    [full] = made.close_all()
    [message] = decode_batch(full.value).messages
    targets = message.targets
    assert (full.platform, targets.user, targets.device) == ("fcm", [USER], [f"topic:{address}"])
    assert (targets.address, targets.kind) == ([address.encode()], [KINDS.index(kind)])
    assert (leg.planned["fcm"], leg.planned.total(), leg.matched) == (1, 1, 1)


def test_a_channel_is_one_target_of_its_own_user() -> None:
    activity = {"push_type": "liveactivity", "live_activity": {"event": "end"}}
    made = errand({"channel": "dHQ="}, via="apns_channel", options=activity)
    leg = made.walk.begin({})
    assert list(made.take(leg, [])) == []
    [full] = made.close_all()
    targets = decode_batch(full.value).messages[0].targets
    assert (full.platform, targets.user, targets.device) == ("apns", [USER], ["channel:dHQ="])
    assert (targets.address, targets.kind) == ([b"dHQ="], [KINDS.index(AddressKind.CHANNEL)])


def test_what_a_predecessor_planned_is_not_planned_again_and_counts() -> None:
    delivery = broadcast_delivery_id("b-1", device_row_key(USER, "news", "topic:a"))
    there = {USER.encode(): {delivery: PlannedDelivery("fcm", token_hash(b"a"))}}
    made = errand({"topics": ["a"]}, OrderWalk(7, there))
    leg = made.walk.begin({})
    assert list(made.take(leg, [])) == []
    assert made.close_all() == []
    made.walk.end(leg, leg.to_user, last=True)
    assert leg.planned["fcm"] == 1
