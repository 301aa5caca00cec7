"""What of a broadcast a user gets now, and what the keeper holds (rulings II.8)."""

from __future__ import annotations

import json
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from pushcast.config.settings import Settings
from pushcast.model.ids import broadcast_delivery_id, device_row_key, user_row_key
from pushcast.model.quiet import DAYS, AppTimes, Quiet, QuietRule
from pushcast.model.user import QuietHours, UserRow
from pushcast.model.words import Reason
from pushcast.stream.capped import Limited
from pushcast.walk.course import Course
from pushcast.walk.holding import KeptPart, OrderGates
from pushcast.walk.legs import OpenLeg, OrderWalk, PlannedDelivery
from pushcast.wire.avro_bytes import bytes_of
from pushcast.wire.devices.user_rows import encode_user_row
from pushcast.wire.events.broadcasts import BroadcastDecoder
from pushcast.wire.events.class_rules import ClassRule
from pushcast.wire.events.orders import Order
from pushcast.wire.sending.batches import decode_batch
from pushcast.wire.waiting.facts import decode_facts
from pushcast.wire.waiting.held_broadcasts import HeldBroadcast, content_of, decode_held
from unit.walk.twin import T0, Row, row, taken, users

NIGHT = (QuietHours(DAYS, "22:00", "07:00"),)
#: At T0 it is 14:13 in UTC and 23:13 in Tokyo.
TOKYO, MORNING = "Asia/Tokyo", T0 - 800_000 + 8 * 3_600_000
RULE = QuietRule({"news": AppTimes(ZoneInfo("UTC"), NIGHT)}, 0)
CAPPED = Settings.model_validate(
    {
        "apps": {"news": {}},
        "classes": {"default": {}, "alarm": {"caps": "ignore", "counted": True}},
        "caps": [
            {"name": "few", "classes": ["default", "alarm"], "limit": 2, "window_seconds": 86400, "on_exceed": "drop"}
        ],
    }
)


def course(
    walk: OrderWalk | None = None, policy: Quiet = Quiet.HOLD, limited: Limited | None = None, **fields: Any
) -> Course:
    event = {"id": "b-1", "app": "news", "title": "Goal!", "audience": {"all": True}, "created_at": T0, **fields}
    classes = {"default": ClassRule(86_400_000)}
    found = BroadcastDecoder({"news"}, classes).decode(None, json.dumps(event).encode(), T0)
    order = Order("b-1", "cluster/topic", 0, T0, False, "", found.frozen(lambda _: None))
    walk = walk or OrderWalk(7, {})
    holding = OrderGates(found.broadcast, order, 7, lambda: T0, quiet=RULE, policy=policy, limited=limited)
    return Course("bulk", walk, order, found.broadcast, 500, 524_288, now_ms=lambda: T0, holding=holding)


def walked(made: Course, *rows: Row) -> tuple[OpenLeg, list[str], list[KeptPart]]:
    leg, full = taken(made, *rows)
    return leg, users(full), made.take_kept()


def waits(kept: KeptPart) -> HeldBroadcast:
    return decode_held(kept.value)


def delivery(user: str, device: str = "d") -> bytes:
    return broadcast_delivery_id("b-1", device_row_key(user, "news", device))


def test_devices_in_quiet_hours_go_to_the_keeper_as_one_record_for_each_user() -> None:
    made = course()
    leg, now, kept = walked(
        made,
        row("u-1", "a", time_zone=TOKYO),
        row("u-1", "b", time_zone=TOKYO),
        row("u-1", "c", time_zone="UTC"),
        row("u-2"),
    )
    assert now == ["u-1", "u-2"]
    [record] = kept
    assert (record.user, record.reason, record.held.due_at) == (b"u-1", Reason.QUIET_HOURS, MORNING)
    assert record.held.zoned
    held = waits(record)
    assert (held.broadcast, held.user, held.walk_offset, held.variant) == ("b-1", "u-1", 7, "")
    assert held.delivery_ids == {delivery("u-1", "a"), delivery("u-1", "b")}
    assert held.content == content_of(made.order.event), "the content goes by its hash"
    assert b"Goal" not in record.value
    assert (leg.planned.total(), leg.kept, leg.users, leg.matched) == (2, 1, 2, 4)
    assert made.take_kept() == [], "it is handed out once"


def test_a_users_own_quiet_hours_count() -> None:
    own = encode_user_row(UserRow(at=1, quiet_hours=(QuietHours(DAYS, "12:00", "15:00"),)))
    _, now, [record] = walked(course(), (user_row_key("u-1"), own), row("u-1"), row("u-2"))
    assert (now, record.user, record.held.due_at) == (["u-2"], b"u-1", T0 - 800_000 + 3_600_000)


@pytest.mark.parametrize(
    "other",
    [
        row("u-1", "b", time_zone=TOKYO, app="chat"),
        row("u-1", "b", time_zone=TOKYO, topics=("b",)),
        row("u-1", "b", time_zone=TOKYO, topics=("a",), registered_at=T0 - 4),
    ],
)
def test_a_device_without_a_zone_is_where_its_user_is_whichever_devices_the_broadcast_is_for(other: Row) -> None:
    rows = [row("u-0", topics=("a",)), row("u-1", "a", topics=("a",)), other, row("u-10", topics=("a",))]
    audience = {"topics": ["a"]}
    _, now, [record] = walked(course(audience=audience), *rows)
    assert (sorted(now), delivery("u-1", "a") in waits(record).delivery_ids) == (["u-0", "u-10"], True)
    there = {b"u-1": {delivery("u-1", "b"): PlannedDelivery("apns", b"other")}}
    _, now, [record] = walked(course(OrderWalk(7, there), audience=audience), *rows)
    assert (sorted(now), waits(record).delivery_ids) == (["u-0", "u-10"], {delivery("u-1", "a")})


@pytest.mark.parametrize(
    ("policy", "now", "kept", "left"),
    [
        (Quiet.HOLD, [], 1, {}),
        (Quiet.DIGEST, [], 1, {}),
        (Quiet.DROP, [], 0, {Reason.QUIET_HOURS: 1}),
        (Quiet.PASSIVE, ["u-1"], 0, {}),
        (Quiet.IGNORE, ["u-1"], 0, {}),
    ],
)
def test_a_class_says_what_becomes_of_them(policy: Quiet, now: list[str], kept: int, left: dict[str, int]) -> None:
    leg, sent, records = walked(course(policy=policy), row("u-1", time_zone=TOKYO))
    assert (sent, len(records), dict(+leg.left)) == (now, kept, left)


def test_a_passive_one_leaves_without_sound() -> None:
    made = course(policy=Quiet.PASSIVE, options={"sound": "bell"})
    _, full = taken(made, row("u-1", time_zone=TOKYO), row("u-2"))
    sounds = {
        message.targets.user[0]: message.options for each in full for message in decode_batch(each.value).messages
    }
    assert (sounds["u-1"].sound, sounds["u-1"].interruption_level) == (None, "passive")
    assert sounds["u-2"].sound == "bell"


def test_what_would_expire_before_the_quiet_hours_are_over_ends_uncounted_by_receipts() -> None:
    leg, now, kept = walked(course(expires_at=MORNING), row("u-1", time_zone=TOKYO))
    assert (now, kept, dict(+leg.left)) == ([], [], {Reason.QUIET_HOURS: 1})


def test_a_capped_class_goes_to_the_keeper_whole_and_a_count_of_the_caps_is_his() -> None:
    made = course(limited=Limited(CAPPED))
    leg, now, [record] = walked(made, row("u-1", "a", time_zone=TOKYO), row("u-1", "b", time_zone="UTC"))
    assert (now, record.reason, record.held.due_at) == ([], Reason.FREQUENCY_CAP, T0)
    facts = decode_facts(record.held.facts)
    assert (facts.gate, facts.klass, facts.app, facts.title) == (Reason.FREQUENCY_CAP, "default", "news", "Goal!")
    assert waits(record).delivery_ids == {delivery("u-1", "a"), delivery("u-1", "b")}
    assert (leg.planned.total(), leg.kept) == (0, 1)


def test_a_cap_is_not_asked_before_one_device_may_have_it() -> None:
    _, _, [record] = walked(course(limited=Limited(CAPPED)), row("u-1", time_zone=TOKYO))
    assert (record.reason, record.held.facts, record.held.due_at) == (Reason.QUIET_HOURS, b"", MORNING)


def test_a_dry_run_counts_in_no_cap() -> None:
    _, now, kept = walked(course(limited=Limited(CAPPED), options={"dry_run": True}), row("u-1"))
    assert (now, kept) == (["u-1"], [])


def test_an_override_passes_quiet_hours() -> None:
    classes = {"default": ClassRule(86_400_000, may_override=frozenset({"quiet_hours"}))}
    event = {"id": "b-1", "app": "news", "title": "x", "audience": {"all": True}, "created_at": T0}
    event["options"] = {"override": ["quiet_hours"]}
    found = BroadcastDecoder({"news"}, classes).decode(None, json.dumps(event).encode(), T0)
    order = Order("b-1", "cluster/topic", 0, T0, False, "", b"")
    holding = OrderGates(found.broadcast, order, 7, lambda: T0, quiet=RULE, policy=Quiet.HOLD)
    made = Course("bulk", OrderWalk(7, {}), order, found.broadcast, 500, 524_288, now_ms=lambda: T0, holding=holding)
    assert walked(made, row("u-1", time_zone=TOKYO))[1:] == (["u-1"], [])


def test_the_held_out_wait_for_nothing_and_variants_are_told_apart() -> None:
    variants = [{"name": "a", "share": 5000}, {"name": "b", "share": 2500}]
    made = course(split={"unit": "device", "variants": variants, "holdout": 2500})
    leg, _, kept = walked(made, *[row("u-1", f"d-{n}", time_zone=TOKYO) for n in range(40)])
    assert {waits(each).variant for each in kept} == {"a", "b"}
    assert leg.kept == 2
    assert leg.held_out > 0
    assert sum(leg.variants.values()) + leg.held_out == 40
    assert sum(len(waits(each).delivery_ids) for each in kept) == sum(leg.variants.values())


BY_DEVICE = {"unit": "device", "variants": [{"name": "a", "share": 5000}, {"name": "b", "share": 5000}], "holdout": 0}


@pytest.mark.parametrize("limited", [None, Limited(CAPPED)])
def test_a_predecessors_record_of_one_variant_is_no_decision_about_the_other(limited: Limited | None) -> None:
    """It was killed between the two: what waits of the other variant waits on, and is not lost."""
    rows = [row("u-1", f"d-{n}", time_zone=TOKYO) for n in range(10)]
    whole, _, [first, second] = walked(course(limited=limited, split=BY_DEVICE), *rows)
    waited = waits(first)
    there = {delivery: PlannedDelivery("", b"\0", waited.variant) for delivery in waited.delivery_ids}
    made = course(OrderWalk(7, {b"u-1": there}), limited=limited, split=BY_DEVICE)
    leg, now, kept = walked(made, *rows)
    assert (now, kept) == ([], [second])
    made.walk.end(leg, b"u-1", last=True)
    assert (leg.variants, leg.kept, leg.users) == (whole.variants, 2, 1)


def test_what_a_predecessor_planned_counts_for_its_variant() -> None:
    """Whether the device is still in the audience or not."""
    made = course(OrderWalk(7, {b"u-1": {b"gone": PlannedDelivery("apns", b"", "b")}}), split=BY_DEVICE)
    leg = made.walk.begin({})
    made.walk.end(leg, b"u-1", last=True)
    assert (leg.planned.total(), leg.variants) == (1, {"b": 1})


def test_a_predecessors_record_is_the_decision_and_counts_as_there() -> None:
    """Its devices are not held again, those that it leaves out get it now, and the end of the leg counts it."""
    there = {b"u-1": {delivery("u-1", "a"): PlannedDelivery("", bytes_of(b"u-1/a".ljust(16)))}}
    walk = OrderWalk(7, there)
    made = course(walk)
    leg, now, kept = walked(made, row("u-1", "a"), row("u-1", "b", time_zone=TOKYO))
    assert (now, kept, leg.users) == (["u-1"], [], 1)
    assert walk.owes
    walk.end(leg, b"u-1", last=True)
    assert (leg.planned.total(), leg.kept, dict(+leg.planned)) == (1, 1, {"apns": 1})


def test_who_a_predecessor_gave_to_the_keeper_for_a_cap_gets_nothing_beside_it() -> None:
    there = {b"u-1": {delivery("u-1", "a"): PlannedDelivery("", b"")}}
    made = course(OrderWalk(7, there), limited=Limited(CAPPED))
    leg, now, kept = walked(made, row("u-1", "a"), row("u-1", "b"))
    assert (now, kept, leg.users) == ([], [], 1)
