"""Rows and courses of one order, for tests of the walk."""

from __future__ import annotations

import json
from typing import Any

from pushcast.model.device import DeviceRow
from pushcast.model.ids import device_row_key
from pushcast.walk.batches import FullBatch
from pushcast.walk.course import Course
from pushcast.walk.legs import OpenLeg, OrderWalk
from pushcast.wire.devices.devices import encode_row
from pushcast.wire.events.broadcasts import BroadcastDecoder
from pushcast.wire.events.class_rules import ClassRule
from pushcast.wire.events.orders import Order
from pushcast.wire.sending.batches import decode_batch

T0 = 1_790_000_000_000
Row = tuple[bytes, bytes]


def row(user: str, device: str = "d", *, app: str = "news", token: str = "", **changes: Any) -> Row:
    address = (token or f"{user}/{device}").encode()
    fields: dict[str, Any] = {"platform": "apns", "state": "active", "registered_at": T0 - 5, "first_at": T0 - 5}
    fields |= {"kind": "token", "key_id": "", "seen_at": T0 - 5, "token_hash": address.ljust(16)[:16]}
    value = encode_row(DeviceRow(**{**fields, "app": app, "device": device, "address": address, **changes}))
    return device_row_key(user, app, device), value


def course(walk: OrderWalk | None = None, *, max_targets: int = 500, count_only: bool = False, **fields: Any) -> Course:
    event = {"id": "b-1", "app": "news", "title": "Goal!", "audience": {"all": True}, **fields}
    event |= {"count_only": count_only}
    found = BroadcastDecoder({"news", "chat"}, {"default": ClassRule(60_000)}).decode(
        None, json.dumps(event).encode(), T0
    )
    order = Order("b-1", "cluster/topic", 0, T0, count_only, "", b"")
    return Course("bulk", walk or OrderWalk(7, {}), order, found.broadcast, max_targets, 524_288, now_ms=lambda: T0)


def taken(made: Course, *rows: Row) -> tuple[OpenLeg, list[FullBatch]]:
    leg = made.walk.begin({})
    full = list(made.take(leg, rows))
    return leg, [*full, *made.close_all()]


def users(full: list[FullBatch]) -> list[str]:
    return [user for each in full for message in decode_batch(each.value).messages for user in message.targets.user]
