"""What the rows of a partition become for one order."""

from __future__ import annotations

import json
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from pushcast.model.batch import NoteKind
from pushcast.model.ids import broadcast_delivery_id, device_row_key, user_row_key
from pushcast.model.instants import instants_of
from pushcast.model.quiet import DAYS, AppTimes, Quiet, QuietRule, QuietTerms
from pushcast.model.sealing import Sealing
from pushcast.model.user import QuietHours, UserRow
from pushcast.walk.course import Course, Opting
from pushcast.walk.holding import OrderGates
from pushcast.walk.legs import OrderWalk, PlannedDelivery
from pushcast.wire.avro_bytes import bytes_of
from pushcast.wire.devices.user_rows import encode_user_row
from pushcast.wire.events.broadcasts import BroadcastDecoder
from pushcast.wire.events.class_rules import ClassRule
from pushcast.wire.events.orders import Order
from pushcast.wire.sending.batches import decode_batch
from unit.walk.twin import T0, Row, course, row, taken, users


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
    walk = OrderWalk(7, {b"u-1": {delivery: PlannedDelivery("apns", bytes_of(token_hash))}})
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


def test_who_had_the_broadcast_that_is_left_out_is_counted_and_not_planned() -> None:
    rows = [row("u-1"), row("u-2"), row("u-2", "d-2")]
    made = course(not_to={"broadcast": "b-0"})
    assert made.served is None  # it has to be read
    made.served = frozenset({broadcast_delivery_id("b-0", rows[1][0])})
    leg, full = taken(made, *rows)
    assert users(full) == ["u-1", "u-2"]
    assert (leg.matched, leg.left["not_to"], leg.planned.total()) == (3, 1, 2)


def test_a_step_takes_its_users_and_leaves_the_others_uncounted() -> None:
    rows = [row(f"u-{number:03}") for number in range(200)]
    steps = [{"share": 3_000}, {"share": 10_000}]
    first = course(steps=steps)
    second = course(steps=steps)
    second.broadcast = msgspec.structs.replace(second.broadcast, step=1)
    legs_and_full = [taken(made, *rows) for made in (first, second)]
    found = [users(full) for _, full in legs_and_full]
    assert sorted(found[0] + found[1]) == [key.split(b"\0")[0].decode() for key, _ in rows]
    assert 30 < len(found[0]) < 90
    assert [leg.matched for leg, _ in legs_and_full] == [len(each) for each in found]


def test_a_count_goes_through_all_steps_at_once() -> None:
    leg, _ = taken(
        course(steps=[{"share": 1}, {"share": 10_000}], count_only=True), *(row(f"u-{n}") for n in range(50))
    )
    assert leg.planned.total() == 50


def test_an_order_of_an_instant_takes_the_devices_of_its_zones() -> None:
    rows = [row("u-1", time_zone="Asia/Dubai"), row("u-2", time_zone="Europe/Berlin"), row("u-3")]
    made = course(deliver_local_at="2026-12-10T09:00", created_at=T0)
    instants = tuple(instants_of(made.broadcast.note, "UTC"))
    found = []
    for step in range(1, len(instants) + 1):
        broadcast = msgspec.structs.replace(made.broadcast, instants=instants, step=step)
        leg, full = taken(
            Course("bulk", OrderWalk(7, {}), made.order, broadcast, 500, 524_288, now_ms=lambda: T0), *rows
        )
        assert leg.matched == leg.planned.total() == len(users(full))
        found += users(full)
    assert found == ["u-1", "u-2", "u-3"]  # in the order of their mornings


def wish(user: str, app: str = "", **said: Any) -> Row:
    return user_row_key(user, app), encode_user_row(UserRow(**said))


def with_wishes(opting: Opting, **fields: Any) -> tuple[list[str], dict[str, int]]:
    """Who gets it of six users, and why the others do not."""
    rows = [
        row("u-1"),
        *(wish("u-2", classes={"default": "off"}), row("u-2"), row("u-2", "d-2")),
        *(wish("u-3", muted_until=T0 + 1), row("u-3")),
        *(wish("u-4", muted_until=T0), row("u-4")),
        *(wish("u-5", classes={"default": "off"}), wish("u-5", "news", classes={"default": "on"}), row("u-5")),
        *(wish("u-6", "chat", classes={"default": "off"}), row("u-6")),
    ]
    made = course(**fields)
    found = Course("bulk", OrderWalk(7, {}), made.order, made.broadcast, 500, 524_288, now_ms=lambda: T0, opting=opting)
    leg, full = taken(found, *sorted(rows))
    return users(full), {reason: count for reason, count in leg.left.items() if count}


def test_who_does_not_want_it_is_counted_and_not_planned() -> None:
    found, left = with_wishes(Opting())
    assert found == ["u-1", "u-4", "u-5", "u-6"]
    assert left == {"opted_out": 2, "muted": 1}
    found, left = with_wishes(Opting(), audience={"where": {"platform": "apns"}})
    assert (len(found), left) == (4, {"opted_out": 2, "muted": 1})  # whatever the prefilter looks for


def test_a_mandatory_class_reaches_everybody_and_one_by_opting_in_those_who_said_on() -> None:
    assert with_wishes(Opting(mandatory=True)) == (["u-1", "u-2", "u-2", "u-3", "u-4", "u-5", "u-6"], {})
    assert with_wishes(Opting(opt_in=True)) == (["u-5"], {"opted_out": 5, "muted": 1})


def test_the_threads_of_a_user_count() -> None:
    made = course(options={"thread_id": "match-1"})
    leg, full = taken(made, wish("u-1", threads={"match-1": "off"}), row("u-1"), row("u-2"))
    assert (users(full), leg.left["opted_out"]) == (["u-2"], 1)


def test_fact_32_a_dry_run_is_planned_like_any_and_its_targets_say_so() -> None:
    leg, [full] = taken(course(options={"dry_run": True}), row("u-1"))
    [message] = decode_batch(full.value).messages
    assert (message.options.dry_run, leg.planned.total()) == (True, 1)


def test_devices_with_quiet_hours_take_them_along_for_their_sender_to_judge() -> None:
    night = (QuietHours(DAYS, "22:00", "07:00"),)
    rule = QuietRule({"news": AppTimes(ZoneInfo("Asia/Dubai"))}, 0)
    berlin, nowhere = UserRow(at=1, quiet_hours=night, time_zone="Europe/Berlin"), UserRow(at=1, quiet_hours=night)
    rows = [
        (user_row_key("u-1"), encode_user_row(berlin)),
        row("u-1", "a", time_zone="America/New_York"),
        row("u-1", "b"),
        (user_row_key("u-2"), encode_user_row(nowhere)),
        row("u-2", "c", time_zone="Mars/Gone"),
        row("u-3", "d"),
    ]

    def terms_by(policy: Quiet) -> dict[str, QuietTerms | None]:
        made = course()
        holding = OrderGates(made.broadcast, made.order, 7, lambda: T0, quiet=rule, policy=policy)
        limits = 500, 524_288
        judged = Course(
            "bulk", OrderWalk(7, {}), made.order, made.broadcast, *limits, now_ms=lambda: T0, holding=holding
        )
        _, full = taken(judged, *rows)
        messages = [message for each in full for message in decode_batch(each.value).messages]
        return {device: message.quiet for message in messages for device in message.targets.device}

    zones = {"a": "America/New_York", "b": "Europe/Berlin", "c": "Asia/Dubai"}
    terms = {name: QuietTerms(Quiet.HOLD, zone, night, first_try=True) for name, zone in zones.items()}
    assert terms_by(Quiet.HOLD) == {**terms, "d": None}
    assert set(terms_by(Quiet.IGNORE).values()) == {None}


def test_a_sealed_broadcast_takes_the_keys_of_its_devices_along() -> None:
    order = Order("b-1", "cluster/topic", 0, T0, False, "", b"")
    event = {"id": "b-1", "app": "news", "title": "Goal!", "audience": {"all": True}}
    sealing = Sealing("News for you", "skip")
    decoder = BroadcastDecoder({"news"}, {"default": ClassRule(60_000, sealing=sealing)})
    found = decoder.decode(None, json.dumps(event).encode(), T0)
    made = Course("bulk", OrderWalk(7, {}), order, found.broadcast, 500, 524_288, now_ms=lambda: T0)
    _, full = taken(made, row("a", content_key=b"its own key"), row("b"))
    [message] = decode_batch(full[0].value).messages
    assert (message.sealing, message.targets.content_key) == (sealing, [b"its own key", None])


def test_a_target_of_a_timed_broadcast_says_when_it_was_due() -> None:
    instants = [[T0 + 60_000, T0 + 120_000, None, True]]
    order = Order("b-1", "cluster/topic/steps", T0 + 60_000, T0 + 60_000, False, "", b"")
    event = {"id": "b-1", "app": "news", "title": "Goal!", "audience": {"all": True}, "instants": instants, "step": 1}
    frozen = json.dumps({**event, "created_at": T0, "expires_at": T0 + 120_000}).encode()
    broadcast = BroadcastDecoder({"news"}, {"default": ClassRule(60_000)}).decode_frozen(frozen, T0)
    made = Course("bulk", OrderWalk(7, {}), order, broadcast, 500, 524_288, now_ms=lambda: T0 + 60_000)
    _, [full] = taken(made, row("a"))
    assert decode_batch(full.value).messages[0].notes.label(0).due_at == T0 + 60_000


def test_users_with_a_delivery_are_counted_apart_from_devices() -> None:
    leg, _ = taken(course(), row("a", "phone"), row("a", "tablet"), row("b"), row("c", state="suspended"))
    assert (leg.planned.total(), leg.users, leg.matched) == (3, 2, 4)
