"""Notification events: what is taken, and how each mistake is named."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pushcast.model.errors import InvalidInput
from pushcast.wire.events.class_rules import ClassRule
from pushcast.wire.events.notifications import NotificationDecoder
from pushcast.wire.schemas import SINGLE_OBJECT_MARKER, SchemaSource, avro_type, released_type
from unit.providers import fields
from unit.providers.fields import CASES, avro_of, note_of
from unit.providers.messages import NOW_MS

T0 = 1_800_000_000_000
DECODER = NotificationDecoder(["news", "shop"], {"default": ClassRule(86_400_000), "breaking": ClassRule(3_600_000)})


def event(**changes: Any) -> bytes:
    return json.dumps({"id": "n-1", "app": "news", "title": "Goal!", **changes}).encode()


def refusal(value: bytes | None) -> InvalidInput:
    with pytest.raises(InvalidInput) as caught:
        DECODER.decode("user-1", value, T0)
    return caught.value


def test_absent_times_are_the_record_time_and_the_class_time_to_live() -> None:
    note = DECODER.decode("user-1", event(**{"class": "breaking"}), T0)
    assert (note.created_at, note.expires_at) == (T0, T0 + 3_600_000)


def test_a_changed_time_to_live_holds_for_the_rest_of_a_campaign_that_has_begun() -> None:
    decoder = NotificationDecoder({"news"}, {"default": ClassRule(86_400_000)})
    avro = [avro_type("notification").encode({"id": note_id, "app": "news", "title": "Goal!"}) for note_id in "ab"]
    for value in (event(), avro[0]):
        assert decoder.decode("user-1", value, T0).expires_at == T0 + 86_400_000
    decoder.change({"default": ClassRule(60_000)})
    for value in (event(), avro[1]):
        assert decoder.decode("user-2", value, T0).expires_at == T0 + 60_000


def test_times_are_rfc_3339_or_milliseconds() -> None:
    note = DECODER.decode("user-1", event(created_at="2026-11-21T10:00:00Z", expires_at=1_795_258_800_000), T0)
    assert note.created_at == 1_795_255_200_000
    assert note.expires_at == 1_795_258_800_000


def test_an_absent_app_means_all_apps() -> None:
    assert DECODER.decode("user-1", event(app=None), T0).app is None


def test_avro_and_json_give_the_same_notification() -> None:
    datum = {"id": "n-1", "app": "news", "title": "Goal!", "data": {"match": "4711"}, "options": None}
    avro = avro_type("notification").encode(datum)
    assert DECODER.decode("u", avro, T0) == DECODER.decode("u", event(data={"match": "4711"}), T0)


@pytest.mark.parametrize("event", CASES.values(), ids=CASES)
def test_every_field_is_the_same_in_avro_and_json(event: dict[str, Any]) -> None:
    avro, note = fields.DECODER.decode("u-0", avro_of(event), NOW_MS), note_of(event)
    assert (avro.content, avro.options, avro.content_key) == (note.content, note.options, note.content_key)


def test_every_part_of_a_variant_is_the_same_in_avro_and_json() -> None:
    """Rulings I.39."""
    german = {
        "title": "Tor!",
        "body": "eins zu null",
        "subtitle": "Endspiel",
        "image": "https://example.com/de.png",
        "actions": {"open": "Öffnen"},
    }
    written = {**CASES["all"], "locales": {"de-AT": german}}
    avro, note = fields.DECODER.decode("u-0", avro_of(written), NOW_MS), note_of(written)
    assert avro.content == note.content
    assert avro.content_key == note.content_key
    assert note.content.of_variant("de-AT").actions[0].title == "Öffnen"


def test_a_notification_of_the_release_before_is_read_as_before() -> None:
    before = released_type("notification", 2).encode({"id": "n-1", "app": "news", "title": "Goal!", "options": None})
    assert DECODER.decode("u", before, T0) == DECODER.decode("u", event(), T0)
    newest = avro_type("notification").encode({"id": "n-1", "app": "news", "title": "Goal!", "options": None})
    for value in (newest[:-19], before + bytes(19)):  # neither frame has the other's fields
        with pytest.raises(InvalidInput):
            DECODER.decode("u", value, T0)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"data": {"n": "1"}, "data_json": '{"n": 2}'}, "data_json.n"),
        ({"data_json": "[1]"}, "data_json"),
        ({"sound_json": "{"}, "sound_json"),
        ({"sound_json": '{"name": "a"}', "options": {"sound": "b"}}, "sound_json"),
        ({"badge_add": 2}, "badge_add"),
        ({"badge_add": 1, "options": {"badge": 3}}, "badge_add"),
        ({"platforms": {"fcm": "5"}}, "platforms.fcm"),
    ],
)
def test_json_inside_avro_is_refused_by_its_field(changes: dict[str, Any], field: str) -> None:
    refused = refusal(avro_type("notification").encode({"id": "n-1", "app": "news", "title": "Goal!", **changes}))
    assert (refused.reason, refused.field) == ("invalid_field", field)


def test_a_badge_that_counts_up_is_the_same_in_avro_and_json() -> None:
    avro = avro_type("notification").encode({"id": "n-1", "app": "news", "title": "Goal!", "badge_add": 1})
    note = DECODER.decode("u", avro, T0)
    assert note.options.badge == "+1"
    assert note.content_key == DECODER.decode("u", event(options={"badge": "+1"}), T0).content_key


def test_ttl_seconds_of_the_event_stands_above_the_class() -> None:
    note = DECODER.decode("u", event(options={"ttl_seconds": 600}), T0)
    assert note.expires_at == T0 + 600_000
    assert note.content_key == DECODER.decode("u", event(), T0).content_key


def test_avro_in_a_confluent_frame_is_read_by_its_registry_id() -> None:
    kind = avro_type("notification")
    body = kind.encode({"id": "n-1", "title": "Goal!"})[10:]
    decoder = NotificationDecoder(["news"], {"default": ClassRule(1000)}, SchemaSource({7: kind.parsed}))
    assert decoder.decode("u", b"\x00\x00\x00\x00\x07" + body, T0).id == "n-1"
    with pytest.raises(InvalidInput, match="schema id 8 is not in the registry"):
        decoder.decode("u", b"\x00\x00\x00\x00\x08" + body, T0)


def test_equal_content_and_options_have_equal_keys_and_others_do_not() -> None:
    same = DECODER.decode("a", event(data={"x": "1", "y": "2"}), T0)
    turned = DECODER.decode("b", event(id="n-2", data={"y": "2", "x": "1"}), T0)
    dry = DECODER.decode("b", event(id="n-2", data={"x": "1", "y": "2"}, options={"dry_run": True}), T0)
    assert same.content_key == turned.content_key != dry.content_key


@pytest.mark.parametrize(
    ("value", "reason", "field"),
    [
        (None, "tombstone", None),
        (b"{not json", "not_json", None),
        (b'{"id": "\xff"}', "not_json", "id"),
        (b"[" * 100_000, "unknown_frame", None),
        (b'{"a":' * 100_000, "unknown_field", "a"),
        (b"\x01\x02garbage", "unknown_frame", None),
        (b"\xc3\x01" + b"\x00" * 20, "unknown_schema", None),
        (b"\xc3\x01\x00", "unknown_schema", None),
        (b"\x00\x00\x00\x00\x01abc", "unknown_schema", None),
        (event(titel="Goal!"), "unknown_field", "titel"),
        (event(options={"colapse_id": "x"}), "unknown_field", "colapse_id"),
        (event(title=5), "invalid_field", "title"),
        (event(data={"n": 10**20}), "invalid_field", "data.n"),
        (event(data={"pc": "mine"}), "reserved_data_key", "data.pc"),
        (event(data={"deep": json.loads("[" * 17 + "]" * 17)}), "invalid_field", "data.deep"),
        (event(image="http://example.com/goal.png"), "invalid_field", "image"),
        (event(title=None, data={"k": "v"}, image="https://example.com/goal.png"), "invalid_field", "image"),
        (event(image="https://example.com/" + "x" * 2048), "invalid_field", "image"),
        (event(link="no link"), "invalid_field", "link"),
        (event(link="//example.com"), "invalid_field", "link"),
        (event(locales={"de": {"image": "x"}}), "invalid_field", "locales.de.image"),
        (event(actions=[{"id": "a", "title": "A"}] * 2), "invalid_field", "actions[1].id"),
        (event(actions=[{"id": "", "title": "A"}]), "invalid_field", "actions[0]"),
        (event(actions=[{"id": str(n), "title": "A"} for n in range(11)]), "invalid_field", "actions"),
        (event(platforms={"fcm": {"token": "x"}}), "invalid_field", "platforms.fcm.token"),
        (event(platforms={"fcm": {"android": {"TTL": "1s"}}}), "invalid_field", "platforms.fcm.android.TTL"),
        (
            event(platforms={"fcm": {"android": {"collapseKey": "x"}}}),
            "invalid_field",
            "platforms.fcm.android.collapseKey",
        ),
        (
            event(platforms={"fcm": {"apns": {"liveActivityToken": "x"}}}),
            "invalid_field",
            "platforms.fcm.apns.liveActivityToken",
        ),
        (event(platforms={"fcm": {"apns": {"headers": None}}}), "invalid_field", "platforms.fcm.apns.headers"),
        (event(platforms={"sms": {}}), "invalid_field", "platforms.sms"),
        (event(options={"badge": -1}), "invalid_field", "options.badge"),
        (event(options={"badge": 2**31}), "invalid_field", "options.badge"),
        (event(options={"badge": "+2"}), "invalid_field", "options.badge"),
        (event(options={"relevance_score": 1.1}), "invalid_field", "options.relevance_score"),
        (event(options={"analytics_label": "a b"}), "invalid_field", "options.analytics_label"),
        (event(options={"sound": {"volume": 0.5}}), "invalid_field", "options.sound.volume"),
        (event(options={"sound": {"critical": True, "volume": 2}}), "invalid_field", "options.sound.volume"),
        (event(options={"ttl_seconds": 2_419_201}), "invalid_field", "options.ttl_seconds"),
        (event(options={"interruption_level": "loud"}), "invalid_field", "options.interruption_level"),
        (event(options={"push_type": "background"}), "invalid_field", "options.push_type"),
        (event(locales={"de-AT": {"title": "a"}, "de_at": {"title": "b"}}), "invalid_field", "locales"),
        (event(id=""), "invalid_field", "id"),
        (event(id="x" * 257), "invalid_field", "id"),
        (event(id="a\0b"), "invalid_field", "id"),
        (event(user="someone-else"), "invalid_field", "user"),
        (event(app="nws"), "unknown_app", "app"),
        (event(**{"class": "brekaing"}), "unknown_class", "class"),
        (json.dumps({"id": "n-1"}).encode(), "invalid_field", "title"),
        (event(created_at="2026-11-21T10:00:00Z", expires_at="2026-11-21T09:00:00Z"), "invalid_field", "expires_at"),
        (event(created_at="2026-11-21T10:00:00"), "invalid_field", "created_at"),
        (event(created_at="yesterday"), "invalid_field", "created_at"),
        (event(created_at=-1), "invalid_field", "created_at"),
        (event(created_at=T0 * 1000), "invalid_field", "created_at"),
        (event(options={"collapse_id": "ä" * 33}), "invalid_field", "options.collapse_id"),
        (event(options={"priority": "urgent"}), "invalid_field", "options.priority"),
        (event(body="x" * 70_000), "too_large", "body"),
    ],
)
def test_a_mistake_is_named_with_reason_and_field(value: bytes | None, reason: str, field: str | None) -> None:
    error = refusal(value)
    assert (error.reason, error.field) == (reason, field)


def test_avro_cut_off_anywhere_is_undecodable_or_of_unknown_schema() -> None:
    whole = avro_type("notification").encode({"id": "n-1", "title": "Goal!", "options": {}})
    assert whole.startswith(SINGLE_OBJECT_MARKER)
    for length in range(2, len(whole)):
        assert refusal(whole[:length]).reason in {"undecodable", "unknown_schema", "unknown_frame"}


def test_bytes_after_the_avro_record_are_an_error() -> None:
    assert refusal(avro_type("notification").encode({"id": "n-1", "title": "x"}) + b"\0").reason == "undecodable"


def test_the_message_does_not_repeat_what_the_producer_wrote() -> None:
    assert "s3cret" not in str(refusal(event(options={"priority": "s3cret"})))


def test_ii30_what_may_be_taken_back_says_when_it_was_made_the_same_for_all_its_devices() -> None:
    decoder = NotificationDecoder(["news"], {"default": ClassRule(1000), "chat": ClassRule(1000, removable=True)})
    chat = event(**{"class": "chat"}, data={"match": "4711"})
    made = decoder.decode("ann", chat, T0)
    assert made.content.data == {"match": "4711", "seq": T0}
    assert made == decoder.decode("ann", chat, T0), "in every try and on every device"
    later = decoder.decode("ann", chat, T0 + 1)
    assert later.content.data["seq"] == T0 + 1
    assert later.content_key != made.content_key, "two that differ are two messages"
    own = decoder.decode("ann", event(**{"class": "chat"}, data={"seq": "7"}), T0)
    assert own.content.data == {"seq": "7"}, "a producer's own stays"
    assert decoder.decode("ann", event(data={"match": "4711"}), T0).content.data == {"match": "4711"}


def test_ii30_a_live_activity_has_no_data_of_ours() -> None:
    decoder = NotificationDecoder(["news"], {"chat": ClassRule(1000, removable=True)})
    activity = {"event": "end", "content_state": {"score": 1}}
    options = {"push_type": "liveactivity", "live_activity": activity}
    note = decoder.decode("ann", event(**{"class": "chat"}, title=None, options=options), T0)
    assert note.content.data == {}


def test_a0_a_replay_says_what_it_repeats_and_is_a_notification_of_its_own() -> None:
    note = DECODER.decode("ann", event(replay_of="n-0"), T0)
    assert (note.id, note.replay_of) == ("n-1", "n-0")
    avro = avro_type("notification").encode(
        {"id": "n-1", "app": "news", "title": "Goal!", "options": None, "replay_of": "n-0"}
    )
    assert DECODER.decode("ann", avro, T0) == note
    assert refusal(event(replay_of="n" * 257)).field == "replay_of"
