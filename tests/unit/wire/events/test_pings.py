"""`privacy: ping`: what a provider gets holds nothing of the content (acceptance fact 48)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from pushcast.config.classes import Class
from pushcast.model.errors import InvalidInput
from pushcast.model.notification import Notification
from pushcast.model.sealing import Sealing
from pushcast.providers.apns.message import render as render_apns
from pushcast.providers.expo.message import render as render_expo
from pushcast.providers.webpush.message import render as render_webpush
from pushcast.wire.events.class_rules import ClassRule, class_rules
from pushcast.wire.events.notifications import NotificationDecoder
from unit.providers.fields import CASES, avro_of
from unit.providers.messages import NOW_MS, fcm_bodies, message

TITLE = "News for you"
DECODER = NotificationDecoder(["news"], {"default": ClassRule(3_600_000), "secret": ClassRule(3_600_000, TITLE)})
ALL: dict[str, Any] = {
    **CASES["all"],
    "locales": {"de": {"title": "Tor!", "subtitle": "Endspiel"}},
    "platforms": {"apns": {"aps": {"alert": {"title": "Goal!"}}}},
    "class": "secret",
}
#: Words of the event that must be nowhere.
SECRETS = ["Goal", "Premier", "1:0", "match", "4711", "Müller", "example.com", "MATCH", "Tor", "cup", "goal.caf"]


def pinged(event: dict[str, Any], note_id: str = "n-1") -> Notification:
    return DECODER.decode(
        "u-0", json.dumps({"id": note_id, "app": "news", "class": "secret", **event}).encode(), NOW_MS
    )


def rendered(note: Notification) -> dict[str, bytes]:
    made = message([b"token-of-sixteen:APA91b"], content=note.content)
    made.options = note.options
    return {
        "apns": render_apns(made, "com.example.news").body,
        "fcm": fcm_bodies(made)[0],
        "expo": render_expo(made),
        "webpush": render_webpush(made).plaintext,
    }


@pytest.mark.parametrize("form", ["json", "avro"])
def test_no_provider_gets_a_word_of_it(form: str) -> None:
    note = pinged(ALL) if form == "json" else DECODER.decode("u-0", avro_of(ALL), NOW_MS)
    for platform, body in rendered(note).items():
        for secret in SECRETS:
            assert secret not in body.decode(), platform
        assert TITLE in body.decode()
    apns = json.loads(rendered(note)["apns"])
    assert apns == {
        "aps": {
            "alert": {"title": TITLE},
            "sound": "default",
            "interruption-level": "time-sensitive",
            "mutable-content": 1,
        },
        "id": "n-1",
        "class": "secret",
    }
    assert (note.options.collapse_id, note.expires_at) == ("secret", NOW_MS + 600_000)


def test_data_alone_stays_silent_and_says_nothing() -> None:
    note = pinged({"data": {"match": "4711"}})
    assert json.loads(rendered(note)["apns"]) == {"aps": {"content-available": 1}, "id": "n-1", "class": "secret"}


def test_one_id_of_many_users_shares_a_message_and_two_ids_do_not() -> None:
    first, other = pinged(ALL), DECODER.decode("u-1", json.dumps({"id": "n-1", "app": "news", **ALL}).encode(), NOW_MS)
    assert first.content_key == other.content_key
    assert first.content_key != pinged(ALL, "n-2").content_key
    assert first.content_key != pinged({**ALL, "options": {"priority": "normal"}}).content_key


def test_other_classes_are_as_they_were() -> None:
    plain = pinged({**ALL, "class": "default"})
    assert plain.content.title == "Goal!"


def test_a_live_activity_cannot_be_a_ping() -> None:
    activity = {"event": "update", "content_state": {"score": "1:0"}}
    with pytest.raises(InvalidInput) as refused:
        pinged({"options": {"push_type": "liveactivity", "live_activity": activity}})
    assert (refused.value.reason, refused.value.field) == ("invalid_field", "options.live_activity")


def test_what_is_wrong_is_still_refused() -> None:
    with pytest.raises(InvalidInput) as refused:
        pinged({"title": "x", "image": "http://example.com"})
    assert refused.value.field == "image"


def test_rules_come_from_the_configuration() -> None:
    rules = class_rules({"a": Class(ttl_seconds=1), "b": Class(ttl_seconds=2, privacy="ping", generic_title=TITLE)})
    assert rules == {"a": ClassRule(1000), "b": ClassRule(2000, TITLE)}


def test_what_a_class_seals_goes_along_with_its_title_and_says_what_devices_without_a_key_get() -> None:
    sealed = Class(privacy="sealed", generic_title=TITLE, privacy_fallback="skip")
    decoder = NotificationDecoder(["news"], {"default": ClassRule(60_000), **class_rules({"secret": sealed})})
    event: dict[str, Any] = {"id": "n-1", "app": "news", "class": "secret", "title": "x"}
    note = decoder.decode("u-0", json.dumps(event).encode(), NOW_MS)
    assert (note.sealing, note.content.title) == (Sealing(TITLE, "skip"), "x")
    activity = {"push_type": "liveactivity", "live_activity": {"event": "end"}}
    with pytest.raises(InvalidInput, match="keeps contents from providers"):
        decoder.decode("u-0", json.dumps({**event, "options": activity}).encode(), NOW_MS)


FALLBACK = {"privacy": "ping", "generic_title": "x", "privacy_fallback": "skip"}


@pytest.mark.parametrize("given", [{"privacy": "ping"}, {"generic_title": "x"}, {"privacy": "sealed"}, FALLBACK])
def test_a_ping_needs_a_title_and_a_title_a_ping(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="privacy"):
        Class(**given)
