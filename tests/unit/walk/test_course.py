"""What the rows of a partition become for one order."""

from __future__ import annotations

import json
from typing import Any

from pushcast.model.batch import NoteKind
from pushcast.model.device import DeviceRow
from pushcast.model.ids import broadcast_delivery_id, device_row_key
from pushcast.walk.course import Course, Full
from pushcast.walk.legs import Leg, OrderWalk, Planned
from pushcast.wire.avro_bytes import bytes_of
from pushcast.wire.batches import decode_batch
from pushcast.wire.broadcasts import BroadcastDecoder, Order
from pushcast.wire.class_rules import ClassRule
from pushcast.wire.devices import encode_row

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
    found = BroadcastDecoder({"news", "chat"}, {"default": ClassRule(60_000)}).decode(
        None, json.dumps(event).encode(), T0
    )
    order = Order("b-1", "cluster/topic", 0, T0, count_only, "", b"")
    return Course("bulk", walk or OrderWalk(7, {}), order, found.broadcast, max_targets, 524_288)


def taken(made: Course, *rows: Row) -> tuple[Leg, list[Full]]:
    leg = made.walk.begin({})
    full = list(made.take(leg, rows))
    return leg, [*full, *made.close_all()]


def users(full: list[Full]) -> list[str]:
    return [user for each in full for message in decode_batch(each.value).messages for user in message.targets.user]


def test_a_target_has_what_a_sender_needs_and_says_that_it_is_a_broadcasts() -> None:
    leg, [full] = taken(course(trace="00-1", campaign="sale"), row("u-1"))
    batch = decode_batch(full.value)
    [message] = batch.messages
    assert (batch.lane, batch.platform, batch.source, full.targets) == ("bulk", "apns", 1, 1)
    assert (message.app, message.klass, message.content.title) == ("news", "default", "Goal!")
    assert (message.notification_ids, message.created_at, message.traces) == (["b-1"], [T0], ["00-1"])
    notes = message.notes
    assert (notes.broadcast, notes.kind, notes.campaign) == (["b-1"], [NoteKind.BROADCAST], ["sale"])
    targets = message.targets
    assert (targets.user, targets.device, targets.source_offset) == (["u-1"], ["d"], [7])
    assert targets.delivery_id == [broadcast_delivery_id("b-1", device_row_key("u-1", "news", "d"))]
    assert targets.expires_at == [T0 + 60_000]
    assert (leg.planned["apns"], leg.scanned, leg.matched, leg.to_user) == (1, 1, 1, b"u-1")


def test_rows_of_other_apps_and_of_users_are_walked_past() -> None:
    leg, full = taken(course(), (b"u-0\0\0", b"user row"), row("u-1", app="chat"), row("u-2"), (b"u-3\0news\0", b"x"))
    assert users(full) == ["u-2"]
    assert (leg.scanned, leg.matched, leg.to_user) == (4, 1, b"u-3")


def test_a_full_batch_is_written_and_the_rest_at_the_end_of_the_leg() -> None:
    rows = [row(f"u-{n}", platform=("apns", "fcm")[n % 2]) for n in range(9)]
    leg, full = taken(course(max_targets=2), *rows)
    assert sorted((each.platform, each.targets) for each in full) == [
        ("apns", 1),
        ("apns", 2),
        ("apns", 2),
        ("fcm", 2),
        ("fcm", 2),
    ]
    assert sorted(users(full)) == [f"u-{n}" for n in range(9)]
    assert leg.planned == {"apns": 5, "fcm": 4}


def test_fact_41_two_rows_with_one_token_are_one_phone_and_the_newest_keeps_it() -> None:
    old, new = row("u-1", "a", token="t"), row("u-1", "b", token="t", registered_at=T0 - 1)
    leg, [full] = taken(course(), old, new, row("u-2", "c", token="t"))
    assert decode_batch(full.value).messages[0].targets.device == ["b", "c"], "another user's token is another matter"
    assert (leg.matched, leg.left) == (3, {"same_token": 1})


def test_devices_that_match_and_cannot_be_planned_are_counted_by_reason() -> None:
    leg, full = taken(
        course(),
        row("u-1", state="suspended"),
        row("u-2", first_at=T0 + 1),
        row("u-3", purpose="voip"),
        (device_row_key("u-4", "news", "d"), b"\xc3\x01broken"),
    )
    assert full == []
    assert leg.left == {"inactive": 1, "after_horizon": 1, "purpose": 1, "unreadable": 1}


def test_what_a_predecessor_has_planned_is_not_planned_again_and_counts_at_the_end() -> None:
    key = device_row_key("u-1", "news", "a")
    delivery, token_hash = broadcast_delivery_id("b-1", key), b"u-1/a".ljust(16)
    walk = OrderWalk(7, {b"u-1": {delivery: Planned("apns", bytes_of(token_hash))}})
    made = course(walk)
    leg, full = taken(made, row("u-1", "a"), row("u-1", "b", token="u-1/a", registered_at=T0 - 1), row("u-2"))
    assert users(full) == ["u-2"], "neither the device, nor a newer row with the token that was served"
    walk.end(leg, b"u-2")
    assert leg.planned == {"apns": 2}


def test_fact_30_the_held_out_are_counted_and_get_nothing() -> None:
    variants = [{"name": "a", "share": 1433}, {"name": "b", "share": 5000, "title": "Tor!"}]
    made = course(split={"variants": variants, "holdout": 3567})
    leg, full = taken(made, row("u-1"), row("u-2"))  # buckets 1432 and 6983
    assert users(full) == ["u-1"]
    assert (leg.held_out, leg.variants) == (1, {"a": 1})
    assert decode_batch(full[0].value).messages[0].notes.variant == ["a"]


def test_variants_and_locales_are_messages_of_their_own() -> None:
    variants = [{"name": "a", "share": 1433, "title": "A"}, {"name": "b", "share": 8567}]
    made = course(split={"variants": variants}, locales={"de": {"title": "Tor!"}})
    _, [full] = taken(made, row("u-1", locale="en"), row("u-2", "x", locale="de-AT"), row("u-2", "y", locale="fr"))
    found = {message.content.title: message.targets.device for message in decode_batch(full.value).messages}
    assert found == {"A": ["d"], "Tor!": ["x"], "Goal!": ["y"]}


def test_fact_21_a_count_writes_nothing() -> None:
    leg, full = taken(course(count_only=True), row("u-1"), row("u-2", platform="fcm"))
    assert full == []
    assert leg.planned == {"apns": 1, "fcm": 1}
