"""Why a device is, or is not, in a broadcast."""

from __future__ import annotations

import json
from typing import Any

from pushcast.audit.broadcast_why import DeviceVerdict, verdict_of
from pushcast.model.device import DeviceRow
from pushcast.model.ids import broadcast_delivery_id, device_row_key
from pushcast.wire.broadcasts import BroadcastDecoder
from pushcast.wire.class_rules import ClassRule
from pushcast.wire.devices import encode_row
from pushcast.wire.orders import Order

T0 = 1_790_000_000_000
KEY = device_row_key("u-1", "news", "d")
DELIVERY = broadcast_delivery_id("b-1", KEY).hex()


def asked(
    receipts: dict[str, str] | None = None,
    *,
    key: bytes = KEY,
    split: Any = None,
    parts: dict[str, Any] | None = None,
    earlier: dict[str, str] | None = None,
    passed_at: int | None = T0,
    **columns: Any,
) -> DeviceVerdict:
    where = {"and": [{"topic": "a"}, {"locale": "de"}]}
    event = {"id": "b-1", "app": "news", "title": "x", "audience": {"where": where}, "split": split, **(parts or {})}
    decoder = BroadcastDecoder({"news"}, {"default": ClassRule(60_000)})
    broadcast = decoder.decode(None, json.dumps(event).encode(), T0).broadcast
    fields: dict[str, Any] = {"topics": ("a",), "locale": "de", "state": "active", "first_at": T0 - 1}
    fixed = {"app": "news", "device": "d", "platform": "apns", "kind": "token", "address": b"t", "key_id": ""}
    times = {"token_hash": b"h" * 16, "registered_at": T0 - 1, "seen_at": T0 - 1}
    row = encode_row(DeviceRow(**{**fixed, **times, **fields, **columns}))
    order = Order("b-1", "log", 0, T0, False, "", b"")
    return verdict_of(key, row, order, broadcast, receipts or {}, earlier or {}, passed_at)


def test_a_receipt_is_the_answer() -> None:
    found = asked({DELIVERY: "accepted"})
    assert (found.reason, found.receipt) == ("", "accepted")
    assert found.sentence() == "news/d: it got the broadcast, accepted"


def test_the_condition_that_decided_is_named() -> None:
    found = asked(locale="fr")
    assert (found.reason, found.condition) == ("audience", {"locale": "de"})
    assert "{'locale': 'de'}" in found.sentence()


def test_what_keeps_a_device_out_besides_the_audience_is_named() -> None:
    assert asked(state="suspended").reason == "inactive"
    assert asked(first_at=T0 + 1).sentence() == "news/d: left out, after_horizon"
    assert asked(key=device_row_key("u-1", "chat", "d")).reason == "other_app"


def test_fact_30_who_is_held_out_is_told_with_the_bucket() -> None:
    split = {"variants": [{"name": "a", "share": 1432}], "holdout": 8568}
    found = asked(split=split)
    assert (found.reason, found.bucket, found.variant) == ("held_out", 1432, None)
    split = {"variants": [{"name": "a", "share": 1433}], "holdout": 8567}
    assert asked(split=split).variant == "a"


def test_without_a_receipt_a_device_of_the_audience_may_have_changed_since() -> None:
    assert "no receipt (yet)" in asked().sentence()
    assert "passed it at 2026-" in asked().sentence()
    assert "has not passed it (yet)" in asked(passed_at=None).sentence()


def test_who_had_the_broadcast_that_is_left_out_is_told() -> None:
    had = broadcast_delivery_id("b-0", KEY).hex()
    not_to = {"not_to": {"broadcast": "b-0"}}
    assert asked(parts=not_to, earlier={had: "accepted"}).reason == "not_to"
    assert asked(parts=not_to, earlier={had: "dead"}).reason == ""


def test_the_step_that_takes_the_user_in_is_told() -> None:
    steps = [asked(parts={"steps": [{"share": share}, {"share": 10_000}]}).step for share in (1, 9_999)]
    assert steps == [2, 1]
    assert asked().step is None
