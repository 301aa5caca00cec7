"""Why a device is, or is not, in a broadcast."""

from __future__ import annotations

import json
from typing import Any

from pushcast.audit.broadcast_why import DeviceVerdict, UserFacts, verdict_of
from pushcast.audit.case import Wait
from pushcast.audit.kept import KeptPush
from pushcast.model.device import DeviceRow
from pushcast.model.ids import broadcast_delivery_id, device_row_key
from pushcast.wire.devices.devices import encode_row
from pushcast.wire.events.broadcasts import BroadcastDecoder
from pushcast.wire.events.class_rules import ClassRule
from pushcast.wire.events.orders import Order

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
    facts: UserFacts | None = None,
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
    known = facts or UserFacts(receipts or {}, earlier or {}, passed_at=passed_at)
    return verdict_of(key, row, order, broadcast, known)


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


KEPT = KeptPush("u-1", "b-1", "bulk", T0 + 60_000, T0, "quiet_hours", None, b"", b"")


def test_what_waits_in_the_keeper_says_why_and_until_when() -> None:
    found = asked(facts=UserFacts(kept={DELIVERY: KEPT}, passed_at=T0))
    assert found.sentence() == (
        "news/d: in the audience, and waits in the keeper until 2026-09-21T14:14:20.000Z (quiet_hours)"
    )
    waits = {"where": "the keeper", "because": "quiet_hours", "until": "2026-09-21T14:14:20.000Z"}
    assert found.to_dict()["waits"] == waits
    assert asked().to_dict()["waits"] is None


def test_a_device_that_is_no_longer_of_the_audience_may_still_wait() -> None:
    assert "waits in the keeper" in asked(facts=UserFacts(kept={DELIVERY: KEPT}), locale="fr").sentence()


def test_a_delivery_that_was_let_go_and_is_parked_says_where() -> None:
    wait = Wait("d", "push.parked.v1", 0, "broadcast_held")
    said = asked(facts=UserFacts(kept={DELIVERY: KEPT}, waits={DELIVERY: wait})).sentence()
    assert said == "news/d: in the audience, and waits in push.parked.v1 and is about to be let go (broadcast_held)"


def test_what_the_keeper_ended_for_the_user_is_the_answer_of_each_device_that_waited() -> None:
    ended = {broadcast_delivery_id("b-1", device_row_key("u-1", "news", "")).hex(): "expired"}
    assert asked(ended).sentence() == "news/d: it did not get the broadcast, expired"
    assert asked({DELIVERY: "accepted", **ended}).receipt == "accepted"
    assert asked(ended, locale="fr").receipt is None
