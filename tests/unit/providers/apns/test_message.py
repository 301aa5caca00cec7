from __future__ import annotations

from uuid import UUID

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushcast.model.notification import LiveActivity
from pushcast.providers.apns.message import PUSH_KINDS, apns_id, render
from pushcast.providers.unsendable import Unsendable
from unit.providers.messages import message

TOPIC = "com.example.news"


def headers_of(**options: object) -> dict[bytes, bytes]:
    rendered = render(message(**options), TOPIC)  # type: ignore[arg-type]
    collapse_id = {} if rendered.collapse_id is None else {b"apns-collapse-id": rendered.collapse_id}
    assert rendered.collapses or not collapse_id
    return dict(rendered.headers) | collapse_id


def test_an_alert_has_its_text_options_and_data_beside_aps() -> None:
    rendered = render(message(data={"match": "4711"}, sound="default", badge=3, thread_id="cup"), TOPIC)
    assert orjson.loads(rendered.body) == {
        "aps": {"alert": {"title": "Goal!", "body": "1:0"}, "sound": "default", "badge": 3, "thread-id": "cup"},
        "match": "4711",
    }
    assert dict(rendered.headers) == {
        b"apns-topic": b"com.example.news",
        b"apns-push-type": b"alert",
        b"apns-priority": b"10",
    }
    assert (rendered.collapse_id, rendered.collapses) == (None, True)


def test_a_given_collapse_id_replaces_the_automatic_one() -> None:
    assert headers_of(collapse_id="match-4711")[b"apns-collapse-id"] == b"match-4711"


@pytest.mark.parametrize("collapse_id", ["x" * 65, "ü" * 33, " a", "a\r\nb", "a\x00"])
def test_a_collapse_id_that_is_no_header_value_is_refused(collapse_id: str) -> None:
    with pytest.raises(Unsendable) as refusal:
        render(message(collapse_id=collapse_id), TOPIC)
    assert (refusal.value.reason, refusal.value.field) == ("invalid_field", "collapse_id")


def test_normal_priority_is_power_aware() -> None:
    assert headers_of(priority="normal")[b"apns-priority"] == b"5"


def test_a_message_that_shows_nothing_goes_as_a_background_push() -> None:
    rendered = render(message(title=None, body=None, data={"k": "v"}), TOPIC)
    headers = dict(rendered.headers)
    assert (headers[b"apns-push-type"], headers[b"apns-priority"]) == (b"background", b"5")
    assert (rendered.collapse_id, rendered.collapses) == (None, False)
    assert orjson.loads(rendered.body) == {"aps": {"content-available": 1}, "k": "v"}


@pytest.mark.parametrize("shown", [{"badge": 0}, {"badge": 5}, {"sound": "bell.caf"}])
def test_a_badge_or_a_sound_alone_is_an_alert(shown: dict[str, object]) -> None:
    rendered = render(message(title=None, body=None, **shown), TOPIC)  # type: ignore[arg-type]
    assert dict(rendered.headers)[b"apns-push-type"] == b"alert"
    assert orjson.loads(rendered.body) == {"aps": shown}


def test_empty_texts_are_absent() -> None:
    silent = render(message(title="", body="", sound="", thread_id="", collapse_id="", data={"k": "v"}), TOPIC)
    assert silent == render(message(title=None, body=None, data={"k": "v"}), TOPIC)


@pytest.mark.parametrize("shown", [{"body": None}, {"title": None}, {"title": None, "body": None, "sound": "default"}])
def test_a_background_push_that_shows_something_is_refused(shown: dict[str, str | None]) -> None:
    with pytest.raises(Unsendable) as refusal:
        render(message(push_type="background", **shown), TOPIC)  # type: ignore[arg-type]
    assert refusal.value.reason == "background_shows_something"


@pytest.mark.parametrize(
    ("push_type", "topic", "priority"),
    [
        ("voip", b"com.example.news.voip", b"10"),
        ("complication", b"com.example.news.complication", b"10"),
        ("fileprovider", b"com.example.news.pushkit.fileprovider", b"5"),
        ("location", b"com.example.news.location-query", b"5"),
        ("liveactivity", b"com.example.news.push-type.liveactivity", b"5"),
        ("pushtotalk", b"com.example.news.voip-ptt", b"10"),
        ("widgets", b"com.example.news.push-type.widgets", b"5"),
        ("controls", b"com.example.news.push-type.controls", b"5"),
    ],
)
def test_push_types_have_their_topic_suffix_and_priority(push_type: str, topic: bytes, priority: bytes) -> None:
    activity = LiveActivity(event="end") if push_type == "liveactivity" else None
    headers = headers_of(push_type=push_type, priority="normal", live_activity=activity)
    assert (headers[b"apns-topic"], headers[b"apns-push-type"]) == (topic, push_type.encode())
    assert headers[b"apns-priority"] == priority


def test_only_push_to_talk_is_never_stored() -> None:
    assert [name for name, kind in PUSH_KINDS.items() if not kind.stored] == ["pushtotalk"]
    assert not render(message(push_type="pushtotalk"), TOPIC).stored


@pytest.mark.parametrize(("push_type", "limit"), [("alert", 4096), ("voip", 5120)])
def test_a_payload_may_fill_its_limit_and_not_exceed_it(push_type: str, limit: int) -> None:
    empty = len(render(message(body="x", push_type=push_type), TOPIC).body) - 1
    full = render(message(body="x" * (limit - empty), push_type=push_type), TOPIC)
    assert len(full.body) == limit
    with pytest.raises(Unsendable) as refusal:
        render(message(body="x" * (limit - empty + 1), push_type=push_type), TOPIC)
    assert refusal.value.reason == "payload_too_large"
    assert str(limit) in str(refusal.value)


def test_the_limit_counts_bytes_and_not_characters() -> None:
    with pytest.raises(Unsendable, match="at most 4096"):
        render(message(body="ü" * 2100), TOPIC)


def test_data_cannot_replace_aps() -> None:
    with pytest.raises(Unsendable) as refusal:
        render(message(data={"aps": "x"}), TOPIC)
    assert refusal.value.reason == "reserved_data_key"


@given(st.binary(min_size=16, max_size=16), st.integers(0, 2**32 - 1))
def test_an_apns_id_is_a_canonical_uuid_of_delivery_and_attempt(delivery_id: bytes, attempt: int) -> None:
    text = apns_id(delivery_id, attempt)
    parsed = UUID(text)
    assert (str(parsed), parsed.version, parsed.variant) == (text, 8, "specified in RFC 4122")
    assert text == apns_id(delivery_id, attempt)
    assert text != apns_id(delivery_id, attempt ^ 1)
