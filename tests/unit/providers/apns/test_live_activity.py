"""Live Activity pushes: payload, headers, and what is refused."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from pushcast.model.notification import LiveActivity
from pushcast.providers.apns.message import render
from pushcast.providers.unsendable import Unsendable
from unit.providers.messages import NOW_MS, message


def aps(activity: LiveActivity | None, **options: Any) -> dict[str, Any]:
    chosen = {"title": None, "body": None, **options}
    rendered = render(message(push_type="liveactivity", live_activity=activity, **chosen), "com.example.news")
    assert rendered.headers[:2] == (
        (b"apns-topic", b"com.example.news.push-type.liveactivity"),
        (b"apns-push-type", b"liveactivity"),
    )
    fields: dict[str, Any] = orjson.loads(rendered.body)["aps"]
    return fields


def test_an_update_has_state_and_the_notifications_time() -> None:
    activity = LiveActivity(event="update", content_state='{"score":"1:0"}', stale_at=NOW_MS + 60_999)
    assert aps(activity) == {
        "timestamp": NOW_MS // 1000,
        "event": "update",
        "content-state": {"score": "1:0"},
        "stale-date": NOW_MS // 1000 + 60,
    }


def test_a_start_by_push_has_attributes_and_asks_for_a_token() -> None:
    activity = LiveActivity(
        event="start",
        content_state='{"score":"0:0"}',
        timestamp=1_800_000_000_500,
        relevance_score=75.5,
        attributes_type="Match",
        attributes='{"id":"4711"}',
        input_push_token=True,
        input_push_channel="Y2hhbm5lbA==",
    )
    assert aps(activity, title="Kick-off", body="Ours against theirs", sound="default") == {
        "timestamp": 1_800_000_000,
        "event": "start",
        "content-state": {"score": "0:0"},
        "relevance-score": 75.5,
        "attributes-type": "Match",
        "attributes": {"id": "4711"},
        "input-push-token": 1,
        "input-push-channel": "Y2hhbm5lbA==",
        "alert": {"title": "Kick-off", "body": "Ours against theirs"},
        "sound": "default",
    }


def test_an_end_says_when_it_leaves_the_screen() -> None:
    activity = LiveActivity(event="end", dismissal_at=NOW_MS)
    assert aps(activity) == {"timestamp": NOW_MS // 1000, "event": "end", "dismissal-date": NOW_MS // 1000}


@pytest.mark.parametrize(
    ("activity", "problem"),
    [
        (None, "options.live_activity: push_type liveactivity needs it"),
        (LiveActivity(event="start", content_state="{}"), "attributes_type"),
        (LiveActivity(event="update", content_state="[1]"), "not a JSON object"),
        (LiveActivity(event="update", content_state="{"), "not JSON"),
    ],
)
def test_what_apple_would_drop_is_refused(activity: LiveActivity | None, problem: str) -> None:
    with pytest.raises(Unsendable, match=problem) as caught:
        aps(activity)
    assert caught.value.reason == "invalid_field"


@pytest.mark.parametrize("push_type", ["widgets", "controls"])
def test_widgets_and_controls_are_told_that_content_changed(push_type: str) -> None:
    rendered = render(message(push_type=push_type, title=None, body=None), "t")
    assert orjson.loads(rendered.body) == {"aps": {"content-changed": True}}
    assert rendered.headers[0] == (b"apns-topic", f"t.push-type.{push_type}".encode())
