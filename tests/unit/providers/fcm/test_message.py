from __future__ import annotations

from typing import Any

import orjson
import pytest

from pushcast.providers.fcm.message import render
from pushcast.providers.identity import NAME_CHARS
from pushcast.providers.unsendable import Unsendable
from unit.providers.messages import NOW_MS, fcm_bodies, message


def body(token: bytes = b"tok:en_1", kind: int = 0, lives_ms: int = 3_600_000, **options: Any) -> dict[str, Any]:
    [made] = fcm_bodies(message([token], kinds=[kind], expires_at=[NOW_MS + lives_ms], **options))
    value: dict[str, Any] = orjson.loads(made)
    return value


TAG = bytes(16).hex()


def test_a_notification_carries_text_data_tag_and_the_same_expiry_for_all_platforms() -> None:
    assert body(data={"match": "4711"}, sound="default", badge=2, thread_id="cup") == {
        "message": {
            "notification": {"title": "Goal!", "body": "1:0"},
            "data": {"match": "4711"},
            "android": {
                "priority": "high",
                "notification": {"tag": TAG, "sound": "default", "notification_count": 2},
                "ttl": "3600s",
            },
            "apns": {
                "headers": {
                    "apns-expiration": str((NOW_MS + 3_600_000) // 1000),
                    "apns-priority": "10",
                    "apns-collapse-id": TAG,
                },
                "payload": {"aps": {"sound": "default", "badge": 2, "thread-id": "cup"}},
            },
            "webpush": {"headers": {"TTL": "3600", "Urgency": "high"}},
            "token": "tok:en_1",
        }
    }


def test_a_firebase_installation_id_is_addressed_as_such() -> None:
    sent = body(kind=1)["message"]
    assert sent["fid"] == "tok:en_1"
    assert "token" not in sent


def test_a_dry_run_is_validate_only() -> None:
    assert body(dry_run=True)["validate_only"] is True
    assert "validate_only" not in body()


def test_a_collapse_key_is_never_automatic() -> None:
    assert "collapse_key" not in body()["message"]["android"]
    android = body(collapse_id="cup")["message"]["android"]
    assert (android["collapse_key"], android["notification"]["tag"]) == ("cup", "cup")


def test_data_alone_is_a_data_message_that_wakes_an_ios_app_silently() -> None:
    sent = body(title=None, body=None, data={"k": "v"})["message"]
    assert "notification" not in sent
    assert "notification" not in sent["android"]
    assert sent["apns"]["payload"] == {"aps": {"content-available": 1}}
    assert sent["apns"]["headers"]["apns-push-type"] == "background"
    assert sent["apns"]["headers"]["apns-priority"] == "5"


def test_empty_texts_are_absent() -> None:
    silent = body(title="", body="", sound="", thread_id="", collapse_id="", data={"k": "v"})
    assert silent == body(title=None, body=None, data={"k": "v"})


@pytest.mark.parametrize("alone", [{"badge": 0}, {"sound": "bell.caf"}])
def test_a_badge_or_a_sound_alone_is_an_alert_on_ios_and_no_empty_notification_on_android(
    alone: dict[str, Any],
) -> None:
    sent = body(title=None, body=None, **alone)["message"]
    assert "notification" not in sent
    assert "notification" not in sent["android"]
    assert sent["apns"]["payload"] == {"aps": alone}
    assert sent["apns"]["headers"]["apns-priority"] == "10"
    assert sent["apns"]["headers"]["apns-collapse-id"] == TAG
    assert "apns-push-type" not in sent["apns"]["headers"]


def test_a_background_push_has_normal_priority() -> None:
    sent = body(title=None, body=None, data={"k": "v"}, push_type="background")["message"]
    assert (sent["android"]["priority"], sent["webpush"]["headers"]["Urgency"]) == ("normal", "normal")


@pytest.mark.parametrize(
    ("lives_ms", "ttl"), [(999, "1s"), (-5_000, "0s"), (61_999, "62s"), (40 * 86_400_000, "2419200s")]
)
def test_ttl_is_whole_seconds_within_fcm_bounds(lives_ms: int, ttl: str) -> None:
    assert body(lives_ms=lives_ms)["message"]["android"]["ttl"] == ttl


def test_percent_signs_and_quotes_in_texts_survive() -> None:
    sent = body(title='50 % "off" %d', sound="%s", collapse_id="100%")["message"]
    assert sent["notification"]["title"] == '50 % "off" %d'
    assert sent["apns"]["payload"]["aps"]["sound"] == "%s"
    assert sent["apns"]["headers"]["apns-collapse-id"] == "100%"


@pytest.mark.parametrize("key", ["from", "message_type", "google.x", "gcm.y"])
def test_reserved_data_keys_are_refused(key: str) -> None:
    with pytest.raises(Unsendable, match=key) as refusal:
        render(message(data={key: "v"}))
    assert refusal.value.reason == "reserved_data_key"


def test_keys_that_only_resemble_reserved_ones_are_taken() -> None:
    assert body(data={"fromage": "v", "googlex": "v"})["message"]["data"] == {"fromage": "v", "googlex": "v"}


@pytest.mark.parametrize("push_type", ["complication", "fileprovider", "location", "liveactivity"])
def test_push_types_of_apple_alone_are_refused(push_type: str) -> None:
    with pytest.raises(Unsendable) as refusal:
        render(message(push_type=push_type))
    assert refusal.value.reason == "push_type_unsupported"


def test_notification_and_data_may_fill_the_limit_and_not_exceed_it() -> None:
    names = len("body" + "k" + "tag") + NAME_CHARS  # Android's notification has its own tag
    render(message(title="", body="x" * (4096 - names - 1), data={"k": "v"}))
    with pytest.raises(Unsendable) as refusal:
        render(message(title="", body="x" * (4096 - names), data={"k": "v"}))
    assert refusal.value.reason == "payload_too_large"
