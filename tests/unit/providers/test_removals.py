"""A push that takes back what is shown, as each platform gets it: fact R1 of reference/time.md."""

from __future__ import annotations

from typing import Any

import orjson

from pushcast.model.batch import Message
from pushcast.model.notification import Content
from pushcast.providers.apns.message import render as render_apns
from pushcast.providers.apns.message import to_be_filtered
from pushcast.providers.expo.message import render as render_expo
from pushcast.providers.webpush.message import render as render_webpush
from unit.providers.messages import fcm_bodies, message

DATA: dict[str, Any] = {"event": "remove", "ids": ["n-1", "n-2"], "seq": 1_800_000_000_000}


def removal() -> Message:
    content = Content(data=DATA)
    return message(content=content, push_type="background", priority="normal", collapse_id="remove")


def test_r1_apns_gets_a_background_push_of_priority_5() -> None:
    rendered = render_apns(removal(), "com.example.news")
    assert dict(rendered.headers) == {
        b"apns-topic": b"com.example.news",
        b"apns-push-type": b"background",
        b"apns-priority": b"5",
    }
    assert orjson.loads(rendered.body) == {"aps": {"content-available": 1}, **DATA}


def test_r1_an_app_that_may_filter_gets_an_alert_for_its_extension_to_hide() -> None:
    rendered = render_apns(to_be_filtered(removal()), "com.example.news")
    assert dict(rendered.headers)[b"apns-push-type"] == b"alert"
    payload = orjson.loads(rendered.body)
    assert payload["aps"]["mutable-content"] == 1
    assert payload["aps"]["alert"] == {"title": "…"}
    assert payload["ids"] == ["n-1", "n-2"]


def test_r1_fcm_gets_data_of_normal_priority_in_texts() -> None:
    [body] = fcm_bodies(removal())
    sent = orjson.loads(body)["message"]
    assert sent["data"] == {"event": "remove", "ids": '["n-1","n-2"]', "seq": "1800000000000"}
    assert (sent["android"]["priority"], sent["android"]["collapse_key"]) == ("normal", "remove")
    assert "notification" not in sent


def test_expo_wakes_the_app() -> None:
    sent = orjson.loads(render_expo(removal()))
    assert (sent["contentAvailable"], sent["priority"], sent["data"]) == (True, "normal", DATA)


def test_a_browser_that_takes_removals_gets_data_of_low_urgency() -> None:
    rendered = render_webpush(removal())
    assert orjson.loads(rendered.plaintext) == {"options": {"data": DATA}}
    assert rendered.urgency == b"low"
