"""Live Activity options of notifications: JSON and Avro come to one form, and mistakes are named."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pushcast.model.batch import Message, SendBatch, Targets
from pushcast.model.errors import InvalidInput
from pushcast.model.notification import LiveActivity, Notification
from pushcast.wire.events.class_rules import ClassRule
from pushcast.wire.events.notifications import NotificationDecoder
from pushcast.wire.schemas import avro_type
from pushcast.wire.sending.batches import decode_batch, encode_batch

T0 = 1_800_000_000_000
DECODER = NotificationDecoder(["news"], {"default": ClassRule(86_400_000)})
UPDATE: dict[str, Any] = {"event": "update", "content_state": {"score": "1:0"}, "timestamp": "2027-01-15T08:00:00Z"}


def decode(push_type: str = "liveactivity", **activity: Any) -> Notification:
    options = {"push_type": push_type, "live_activity": activity}
    return DECODER.decode("u", json.dumps({"id": "n-1", "app": "news", "options": options}).encode(), T0)


def test_json_becomes_milliseconds_and_text_and_needs_no_title() -> None:
    expected = LiveActivity(event="update", content_state='{"score":"1:0"}', timestamp=T0)
    assert decode(**UPDATE).options.live_activity == expected


def test_avro_and_json_of_the_same_event_are_the_same_content() -> None:
    golden = {"event": "update", "content_state": '{"score":"1:0"}', "timestamp": T0}
    datum = {
        "id": "n-1",
        "app": "news",
        "options": {"push_type": "liveactivity", "live_activity": golden},
    }
    assert DECODER.decode("u", avro_type("notification").encode(datum), T0) == decode(**UPDATE)


def test_it_survives_the_way_to_the_sender() -> None:
    note = decode(**UPDATE)
    message = Message("news", "default", note.content, note.options, bytes(16), ["n-1"], [T0], [""], Targets())
    batch = SendBatch("normal", "apns", [message])
    assert decode_batch(encode_batch(batch)).messages[0].options == note.options


@pytest.mark.parametrize(
    ("push_type", "activity", "field"),
    [
        ("alert", UPDATE, "push_type"),
        ("liveactivity", {"event": "update"}, "content_state"),
        ("liveactivity", {"event": "start", "content_state": {}}, "attributes"),
        ("liveactivity", {"event": "update", "content_state": "no object"}, "content_state"),
        ("liveactivity", {**UPDATE, "stale_at": "yesterday"}, "stale_at"),
    ],
)
def test_mistakes_name_their_field(push_type: str, activity: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        decode(push_type, **activity)
    assert (caught.value.reason, caught.value.field) == ("invalid_field", f"options.live_activity.{field}")


def test_a_misspelt_field_is_unknown() -> None:
    with pytest.raises(InvalidInput) as caught:
        decode(event="update", contentstate={})
    assert caught.value.reason == "unknown_field"
