"""Broadcast events: what is taken, what is refused by name, and what orders carry."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from pushcast.model.audience import EVERYBODY, And, FollowedTopic, NamedSegment, Node, Not, Or
from pushcast.model.broadcast import BroadcastPace, NotTo, Step, StopIf, Via
from pushcast.model.device import AddressKind
from pushcast.model.errors import InvalidInput
from pushcast.model.instants import instants_of
from pushcast.model.words import Platform
from pushcast.wire.events.broadcasts import BroadcastDecoder, BroadcastEvent
from pushcast.wire.events.class_rules import ClassRule
from pushcast.wire.events.orders import Order, began_at, decode_order, encode_order, next_step, steps_of
from pushcast.wire.schemas import avro_type

T0 = 1_790_000_000_000
HOUR_MS = 3_600_000
CLASSES = {"default": ClassRule(HOUR_MS), "breaking": ClassRule(60_000), "told": ClassRule(HOUR_MS, tracked=True)}
DECODER = BroadcastDecoder({"news"}, CLASSES)


def event(**fields: Any) -> dict[str, Any]:
    return {"id": "b-1", "app": "news", "audience": {"all": True}, "title": "Goal!", **fields}


def decoded(key: bytes | None = b"b-1", **fields: Any) -> BroadcastEvent:
    return DECODER.decode(key, json.dumps(event(**fields)).encode(), T0)


def refused(field: str, says: str, reason: str = "invalid_field", **fields: Any) -> None:
    with pytest.raises(InvalidInput) as caught:
        decoded(**fields)
    assert (caught.value.reason, caught.value.field) == (reason, field)
    assert says in str(caught.value)


def test_a_broadcast_has_a_notifications_content_and_times() -> None:
    fields: dict[str, Any] = {
        "class": "breaking",
        "options": {"collapse_id": "g"},
        "locales": {"de": {"title": "Tor!"}},
    }
    broadcast = decoded(**fields).broadcast
    note = broadcast.note
    assert (broadcast.id, broadcast.app, broadcast.audience) == ("b-1", "news", EVERYBODY)
    assert (note.content.title, note.options.collapse_id, note.klass) == ("Goal!", "g", "breaking")
    assert (note.created_at, note.expires_at) == (T0, T0 + 60_000)


def test_apps_of_a_class_with_engagement_are_told_the_broadcasts_id_in_every_language() -> None:
    fields: dict[str, Any] = {"class": "told", "locales": {"de": {"title": "Tor!"}}}
    content = decoded(**fields).broadcast.note.content
    assert (content.tracked, content.of_variant("de").tracked) == (True, True)
    assert not decoded().broadcast.note.content.tracked


def test_what_a_notification_would_be_refused_for_is_refused() -> None:
    refused("app", "is required", app=None)
    refused("app", "not configured", "unknown_app", app="shop")
    refused("class", "not configured", "unknown_class", **{"class": "x"})
    refused("title", "required", title=None)
    refused("expires_at", "before created_at", expires_at=T0 - 1)
    refused("titel", "typing mistake", "unknown_field", titel="x")
    refused("options.collapse_id", "64 bytes", options={"collapse_id": "x" * 65})


def test_what_only_a_broadcast_can_get_wrong_is_refused() -> None:
    refused("audience", "is absent", audience=None)
    refused("user", "has an audience", user="u-1")
    refused("id", "record key", key=b"other")
    refused("expires_at", "7 days", expires_at=T0 + 7 * 24 * HOUR_MS + 1)
    refused("via", "Invalid enum", via="pigeon")
    refused("pace", "over_seconds or per_second", pace={})
    refused("pace.per_second", "1 to", pace={"per_second": 0})
    refused("pace.over_seconds", "1 to 86400", pace={"over_seconds": 86_401})


def test_fact_25_a_pace_longer_than_the_life_is_refused() -> None:
    refused("pace.over_seconds", "expires after 3600 s", pace={"over_seconds": 3601})
    assert decoded(pace={"over_seconds": 3600}).broadcast.pace == BroadcastPace(over_seconds=3600)


STEPS: list[dict[str, Any]] = [
    {"share": 100, "wait_seconds": 300, "stop_if": {"invalid_share": 0.05}},
    {"share": 10_000},
]


def test_steps_grow_to_the_whole_audience_and_all_but_the_last_may_wait() -> None:
    broadcast = decoded(steps=STEPS).broadcast
    assert broadcast.steps == (Step(100, 300, StopIf(invalid_share=0.05)), Step(10_000))
    refused("steps", "has 1 entries; 2 to 10", steps=[{"share": 10_000}])
    refused("steps", "grow from step to step, up to 10000", steps=[{"share": 100}, {"share": 9_999}])
    refused("steps", "grow from step to step", steps=[{"share": 100}, {"share": 100}, {"share": 10_000}])
    refused("steps", "grow from step to step", steps=[{"share": 0}, {"share": 10_000}])
    refused("steps[0].wait_seconds", "negative", steps=[{"share": 1, "wait_seconds": -1}, {"share": 10_000}])
    bad = {"share": 1, "stop_if": {"rejected_share": 1.5}}
    refused("steps[0].stop_if.rejected_share", "is 1.5; 0 to 1", steps=[bad, {"share": 10_000}])
    refused("steps[1]", "no step behind it", steps=[{"share": 1}, {"share": 10_000, "wait_seconds": 1}])
    refused("steps", "expires after 3600 s", steps=[{"share": 1, "wait_seconds": 3600}, {"share": 10_000}])
    refused("step", "not for producers", step=1)


def test_every_user_is_in_one_step_whatever_the_split_says() -> None:
    split = {"variants": [{"name": "a", "share": 100}], "holdout": 9_900}
    first = decoded(steps=STEPS, split=split).broadcast
    second = msgspec.structs.replace(first, step=1)
    users = [f"u-{number}" for number in range(5_000)]
    in_first = [user for user in users if first.in_step(user)]
    assert in_first
    assert [user for user in users if not second.in_step(user)] == in_first
    assert first.split is not None
    in_variant = [user for user in in_first if first.split.of(user, b"") is not None]
    assert len(in_variant) < len(in_first)  # salts differ, so a step is no variant


def test_not_to_names_another_broadcast_and_outcomes() -> None:
    assert decoded(not_to={"broadcast": "b-0", "outcomes": ["dead"]}).broadcast.not_to == NotTo(
        "b-0", frozenset({"dead"}), 0
    )
    refused("not_to.broadcast", "is the broadcast itself", not_to={"broadcast": "b-1"})
    refused("not_to.outcomes", "accepted, invalid", not_to={"broadcast": "b-0", "outcomes": []})
    refused("not_to.outcomes", "unfinished", not_to={"broadcast": "b-0", "outcomes": ["lost"]})
    refused("not_to.since_ms", "not for producers", not_to={"broadcast": "b-0", "since_ms": 1})


def test_a_time_of_a_broadcast_is_one_for_all_or_of_each_device() -> None:
    fixed = decoded(deliver_at=T0 + 30 * 24 * HOUR_MS).broadcast.note
    assert (fixed.due_at, fixed.expires_at) == (T0 + 30 * 24 * HOUR_MS, T0 + 30 * 24 * HOUR_MS + HOUR_MS)
    local = decoded(deliver_local_at="2026-12-10T09:00").broadcast.note
    assert local.timing is not None
    assert local.timing.is_local
    refused("spread_seconds", "have a pace", spread_seconds=60)
    refused("time_zone", "device, or one zone", deliver_local_at="2026-12-10T09:00", time_zone="user")
    refused("steps", "do not go with", deliver_at=T0 + HOUR_MS, steps=STEPS)
    refused("expires_at", "7 days after what is due", deliver_at=T0 + HOUR_MS, expires_at=T0 + 200 * HOUR_MS)
    refused("instants", "not for producers", instants=[])


def test_an_order_of_an_instant_has_its_expiry_and_its_horizon() -> None:
    event = decoded(deliver_local_at="2026-12-10T09:00")
    instants = instants_of(event.broadcast.note, "UTC")
    first = Order("b-1", "log", 4, T0, False, "scheduled", event.frozen(lambda name: None, 0, instants))
    assert steps_of(first).count == len(instants) + 1
    assert steps_of(first).expires_at == instants[-1].at + HOUR_MS
    third = next_step(next_step(first, T0 + 5, ""), T0 + 9, "")
    broadcast = DECODER.decode_frozen(third.event, third.recorded_at)
    assert (third.recorded_at, broadcast.step) == (T0 + 9, 2)
    assert broadcast.note.expires_at == instants[1].at + HOUR_MS
    assert broadcast.instants == tuple(instants)


def test_only_a_count_is_quick() -> None:
    assert decoded(quick=True, count_only=True).broadcast.quick
    refused("quick", "needs count_only", quick=True)


def test_an_order_of_a_later_step_says_the_same_and_its_step() -> None:
    event = decoded(steps=STEPS, not_to={"broadcast": "b-0"})
    first = Order("b-1", "log", 4, T0, False, "", event.frozen(lambda name: None, 99))
    second = next_step(first, T0 + 5, "")
    assert (steps_of(first).step, steps_of(first).more, began_at(first)) == (0, True, T0)
    assert (steps_of(second).step, steps_of(second).more, began_at(second)) == (1, False, T0 + 5)
    assert second.recorded_at == T0
    broadcast = DECODER.decode_frozen(second.event, T0)
    assert broadcast == msgspec.structs.replace(DECODER.decode_frozen(first.event, T0), step=1)
    assert broadcast.not_to is not None
    assert broadcast.not_to.since_ms == 99


def test_fact_30_shares_and_holdout_are_ten_thousand() -> None:
    variants = [{"name": "a", "share": 4750}, {"name": "b", "share": 4749, "title": "Goal for Arsenal"}]
    refused("split", "9999 together", split={"variants": variants, "holdout": 500})
    variants[1]["share"] = 4750
    split = decoded(split={"variants": variants, "holdout": 500}).broadcast.split
    assert split is not None
    assert [(each.name, each.note.content.title) for each in split.variants] == [
        ("a", "Goal!"),
        ("b", "Goal for Arsenal"),
    ]
    assert (split.salt, split.holdout, split.unit) == ("b-1", 500, "user")


def test_a_broken_split_is_refused_by_name() -> None:
    whole = {"name": "a", "share": 10_000}
    refused("split.variants", "1 to 100", split={"variants": []})
    refused("split.variants", "twice", split={"variants": [{**whole, "share": 5000}] * 2})
    refused("split.variants[0].name", "1 to 64", split={"variants": [{**whole, "name": ""}]})
    refused(
        "locales",
        "one language tag",
        split={"variants": [{**whole, "locales": {"de": {"title": "x"}, "DE": {"title": "y"}}}]},
    )


def test_fact_28_a_split_gives_users_to_variants_by_their_bucket() -> None:
    variants = [{"name": "a", "share": 1432}, {"name": "b", "share": 1}, {"name": "c", "share": 5550}]
    split = decoded(split={"variants": variants, "holdout": 3017}).broadcast.split
    assert split is not None
    first, second = split.of("u-1", b"u-1\0news\0d-1"), split.of("u-2", b"")
    assert first is not None
    assert first.name == "b"  # 1432
    assert second is None  # 6983 is the first that is held out


def test_avro_and_json_say_the_same() -> None:
    fields = json.loads(
        json.dumps(event(audience={"topics": ["a", "b"]}, pace={"over_seconds": 60}, body="1:0", data={"m": "1"}))
    )
    own = {f"{name}_json": json.dumps(fields.pop(name)) for name in ("audience", "pace")}
    value = avro_type("broadcast").encode({**fields, **own})
    from_avro, from_json = (
        DECODER.decode(b"b-1", value, T0),
        decoded(audience={"topics": ["a", "b"]}, pace={"over_seconds": 60}, body="1:0", data={"m": "1"}),
    )
    assert from_avro.broadcast == from_json.broadcast
    with pytest.raises(InvalidInput, match=r"\$\.audience"):
        DECODER.decode(b"b-1", avro_type("broadcast").encode({**fields, **own, "audience_json": "[]"}), T0)


@pytest.mark.parametrize(
    "audience",
    [
        {"all": True},
        {"topics": ["a", "b"]},
        {"condition": "!('a' in topics)"},
        {"segment": "s"},
        {"where": {"not": {"segment": "s"}}},
        {"where": {"app_version": {">=": "0.0"}}},
    ],
)
def test_a_frozen_event_is_the_same_broadcast_without_names(audience: dict[str, Any]) -> None:
    known = {"s": And((FollowedTopic("x"), Or((FollowedTopic("y"), FollowedTopic("z")))))}
    found = decoded(audience=audience, split={"variants": [{"name": "a", "share": 10_000, "body": "b"}]})
    again = DECODER.decode_frozen(found.frozen(known.get), T0 + HOUR_MS)
    assert again.note == found.broadcast.note
    assert again.split == found.broadcast.split
    known["s"] = And((FollowedTopic("edited"),))
    expected = {
        "segment": And((FollowedTopic("x"), Or((FollowedTopic("y"), FollowedTopic("z"))))),
        "where": Not(And((FollowedTopic("x"), Or((FollowedTopic("y"), FollowedTopic("z")))))),
    }
    written_out = expected[next(iter(audience))] if "segment" in str(audience) else found.broadcast.audience
    assert again.audience == written_out


def test_an_order_is_read_as_it_was_written() -> None:
    segments: dict[str, Node] = {"s": NamedSegment("t"), "t": FollowedTopic("a")}
    order = Order(
        "b-1",
        "cluster/topic",
        7,
        T0,
        False,
        "",
        decoded(audience={"segment": "s"}).frozen(lambda name: segments.get(name)),
    )
    assert decode_order(encode_order(order)) == order
    assert DECODER.decode_frozen(order.event, T0).audience == FollowedTopic("a")
    with pytest.raises(InvalidInput):
        decode_order(b"\xc3\x01nothing of ours")


def test_a_content_has_4_kib_in_each_language_and_a_thousand_texts_in_all() -> None:
    assert decoded(title=None, body="x" * 3_900)
    with pytest.raises(InvalidInput, match=r"the content has 4.* at most 4096") as caught:
        decoded(title=None, body="x" * 4_096)
    assert (caught.value.reason, caught.value.field) == ("too_large", "body")
    with pytest.raises(InvalidInput, match=r"locales.de has .* at most 4096"):
        decoded(locales={"de": {"body": "x" * 4_096}})
    locales = {f"de-{place:03}": {"title": "Tor!"} for place in range(10)}
    variants = [{"name": f"v{place}", "share": 100} for place in range(100)]
    refused("split.variants", "has 1100 texts", locales=locales, split={"variants": variants})


def via_fcm(audience: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"via": "fcm_topic", "audience": audience, **fields}


def test_fact_52_via_fcm_topic_takes_one_topic_or_a_condition_and_nothing_that_needs_devices() -> None:
    one = decoded(**via_fcm({"topics": ["news-uk"]})).broadcast.via
    assert one == Via(Platform.FCM, AddressKind.TOPIC, "news-uk")
    text = "'a' in topics && !('b' in topics)"
    assert decoded(**via_fcm({"condition": text})).broadcast.via == Via(Platform.FCM, AddressKind.CONDITION, text)
    split = {"variants": [{"name": "a", "share": 10_000}]}
    others = {"split": split, "pace": {"per_second": 1}, "not_to": {"broadcast": "b-0"}, "steps": STEPS}
    for field, value in {**others, "count_only": True, "deliver_local_at": "2026-12-10T09:00"}.items():
        fields: dict[str, Any] = {field: value}
        refused(field, "does not go with via", **via_fcm({"topics": ["a"]}), **fields)
    refused("audience", "one topic, or a condition", **via_fcm({"topics": ["a", "b"]}))
    refused("audience", "one topic, or a condition", **via_fcm({"all": True}))
    refused("audience.topics", "letters, digits", **via_fcm({"topics": ["team/arsenal"]}))
    six = " || ".join(f"'{name}' in topics" for name in "abcdef")
    refused("audience.condition", "has 6 topics; FCM takes 5", **via_fcm({"condition": six}))
    refused("audience.condition", "printable ASCII", **via_fcm({"condition": '"a" in topics'}))


def test_an_order_via_fcm_keeps_the_text_that_fcm_reads() -> None:
    event = decoded(**via_fcm({"condition": "'a' in topics"}))
    frozen = DECODER.decode_frozen(event.frozen(lambda name: None), T0)
    assert frozen.via == event.broadcast.via


UPDATE = {"push_type": "liveactivity", "live_activity": {"event": "update", "content_state": {"score": "1:0"}}}


def via_channel(audience: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"via": "apns_channel", "audience": audience, "options": UPDATE, **fields}


@pytest.mark.parametrize(("stores", "kind"), [(False, AddressKind.CHANNEL), (True, AddressKind.STORING_CHANNEL)])
def test_via_apns_channel_names_one_channel_and_what_it_stores(stores: bool, kind: AddressKind) -> None:
    event = decoded(**via_channel({"channel": "dHQ=", "stores_newest": stores}))
    assert event.broadcast.via == Via(Platform.APNS, kind, "dHQ=")
    frozen = DECODER.decode_frozen(event.frozen(lambda name: None), T0)
    assert frozen.via == event.broadcast.via


def test_via_apns_channel_takes_a_live_activity_for_a_channel_and_nothing_that_needs_devices() -> None:
    for audience in ({"all": True}, {"channel": "dHQ=", "all": True}, {"topics": ["a"]}, {}):
        refused("audience", "must be", **via_channel(audience))
    for channel in ("", "no base64!", "A" * 260, 7):
        refused("audience.channel", "base64, at most 256 bytes", **via_channel({"channel": channel}))
    refused("audience.stores_newest", "true or false", **via_channel({"channel": "dHQ=", "stores_newest": 1}))
    refused("options.push_type", "must be liveactivity", **via_channel({"channel": "dHQ="}, options={}))
    start = {"event": "start", "attributes_type": "Match", "attributes": {}, "content_state": {}}
    starting = {"push_type": "liveactivity", "live_activity": start}
    refused("options.live_activity.event", "update or end", **via_channel({"channel": "dHQ="}, options=starting))
    refused("count_only", "apns_channel", **via_channel({"channel": "dHQ="}, count_only=True))
    refused("audience", "takes exactly one of", audience={"channel": "dHQ="})


@pytest.mark.parametrize(("rule", "problem"), [({"gathers": True}, "digest"), ({"gated": True}, "read_gate")])
def test_a_class_that_waits_for_each_user_is_not_for_broadcasts(rule: dict[str, Any], problem: str) -> None:
    """Rulings II.8."""
    decoder = BroadcastDecoder({"news"}, {"default": ClassRule(HOUR_MS, **rule)})
    with pytest.raises(InvalidInput, match=f"has a {problem}") as caught:
        decoder.decode(None, json.dumps(event()).encode(), T0)
    assert caught.value.field == "class"


def test_a_count_of_a_local_time_ahead_can_be_read_by_those_who_walk_it() -> None:
    """It walks now, so its frozen event has the expiry of now beside the time ahead."""
    found = decoded(count_only=True, deliver_local_at="2026-12-24T09:00", created_at="2026-12-20T00:00:00Z")
    frozen = DECODER.decode_frozen(found.frozen(lambda _: None), T0)
    assert (frozen.count_only, frozen.note.expires_at) == (True, found.broadcast.note.expires_at)
