"""What an order says of its broadcast to whoever knows no configuration."""

from __future__ import annotations

import json
from typing import Any

from pushcast.wire.events.orders import Order, steps_of


def order(**event: Any) -> Order:
    return Order("b-1", "cluster/topic", 0, 1, False, "", json.dumps({"expires_at": 2, **event}).encode())


def test_whose_fan_out_a_broadcast_goes_through_is_told() -> None:
    assert steps_of(order(via="fcm_topic")).fan_out == "fcm_topic"
    assert [steps_of(order(**via)).fan_out for via in ({}, {"via": None}, {"via": "devices"})] == ["", "", ""]
