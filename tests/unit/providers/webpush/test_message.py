from __future__ import annotations

import json
from typing import Any

import pytest

from pushcast.model.notification import Content
from pushcast.providers.identity import HOLE, filled_size
from pushcast.providers.unsendable import Unsendable
from pushcast.providers.webpush.encryption import MAX_PLAINTEXT_BYTES
from pushcast.providers.webpush.message import render, topic_of
from unit.providers.messages import message


def test_a_shown_message_has_text_data_and_a_hole_for_each_deliverys_tag() -> None:
    rendered = render(message(title="Goal!", body="1:0", data={"match": "4711"}, badge=3))
    assert json.loads(rendered.plaintext.replace(HOLE, b"4711")) == {
        "title": "Goal!",
        "options": {"body": "1:0", "data": {"match": "4711", "pc": {"id": "n-1", "badge": 3}}, "tag": "4711"},
    }
    assert (rendered.urgency, rendered.topic) == (b"high", None)


def test_a_collapse_id_is_tag_and_topic() -> None:
    rendered = render(message(collapse_id="match-4711", priority="normal"))
    assert json.loads(rendered.plaintext)["options"]["tag"] == "match-4711"
    assert (rendered.urgency, rendered.topic) == (b"normal", b"match-4711")


@pytest.mark.parametrize("collapse_id", ["match/4711", "x" * 33, "Tor für uns"])
def test_a_topic_is_always_at_most_32_characters_of_base64url(collapse_id: str) -> None:
    topic = topic_of(collapse_id)
    assert len(topic) == 32
    assert topic.translate(None, b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") == b""
    assert topic != topic_of(collapse_id + "x")


def test_a_background_push_is_of_low_urgency_and_shows_nothing() -> None:
    rendered = render(message(title=None, body=None, data={"sync": "1"}, push_type="background"))
    assert (json.loads(rendered.plaintext), rendered.urgency) == ({"options": {"data": {"sync": "1"}}}, b"low")
    with pytest.raises(Unsendable) as refused:
        render(message(push_type="background"))
    assert refused.value.reason == "background_shows_something"


@pytest.mark.parametrize("alone", [{"badge": 0}, {"sound": "bell.caf"}])
def test_a_badge_or_a_sound_alone_is_not_for_browsers(alone: dict[str, object]) -> None:
    with pytest.raises(Unsendable) as refused:
        render(message(title="", body=None, **alone))  # type: ignore[arg-type]
    assert refused.value.reason == "nothing_to_show"
    with_data = render(message(title=None, body=None, data={"k": "v"}, **alone))  # type: ignore[arg-type]
    assert json.loads(with_data.plaintext)["options"]["data"]["k"] == "v"


@pytest.mark.parametrize("push_type", ["alert", "background"])
def test_what_is_meant_for_other_platforms_alone_is_not_for_browsers(push_type: str) -> None:
    others: list[dict[str, dict[str, Any]]] = [
        {"apns": {"aps": {"alert": "Goal!"}}},
        {"apns": {"a": 1}, "webpush": {"title": None}},
    ]
    for platforms in others:
        with pytest.raises(Unsendable) as refused:
            render(message(content=Content(platforms=platforms), push_type=push_type))
        assert refused.value.reason == "nothing_to_show"
    own = Content(platforms={"webpush": {"data": {"k": "v"}}})
    assert json.loads(render(message(content=own)).plaintext) == {"options": {"data": {"k": "v"}}}


def test_apples_push_types_are_refused() -> None:
    with pytest.raises(Unsendable) as refused:
        render(message(push_type="voip"))
    assert refused.value.reason == "push_type_unsupported"


def test_the_payload_limit_is_3993_bytes_as_utf8() -> None:
    room = MAX_PLAINTEXT_BYTES - filled_size(render(message(title=None, body="x")).plaintext, message()) + 1
    assert filled_size(render(message(title=None, body="x" * room)).plaintext, message()) == MAX_PLAINTEXT_BYTES == 3993
    with pytest.raises(Unsendable, match="3994 bytes, at most 3993"):
        render(message(title=None, body="x" * (room - 1) + "ü"))
