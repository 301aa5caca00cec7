"""`pc`, the object for what no field of a platform tells an app: rulings I.23."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from pushcast.model.batch import Message
from pushcast.providers.apns.message import render as render_apns
from pushcast.providers.expo.message import render as render_expo
from pushcast.providers.identity import filled
from pushcast.providers.unsendable import Unsendable
from pushcast.providers.webpush.message import render as render_webpush
from unit.providers.fields import message_of
from unit.providers.messages import fcm_bodies

#: Ids as producers may write them: quotes, escapes, holes of ours.
IDS = ["n-1", 'say "no"\\', "\0\1\2\3", "Müller"]
EVENT = {"title": "Goal!", "link": "https://example.com/match/4711", "data": {"k": "\3"}}


def bodies_of(platform: str, message: Message) -> list[Any]:
    """The JSON that each target gets."""
    indices = range(len(message.targets))
    if platform == "fcm":
        made = fcm_bodies(message)
    else:
        texts = {
            "apns": lambda: render_apns(message, "com.example.news").body,
            "expo": lambda: render_expo(message),
            "webpush": lambda: render_webpush(message).plaintext,
        }
        made = filled(texts[platform](), message, indices, "notification")
    return [json.loads(body) for body in made]


OWN: dict[str, Callable[[Any], Any]] = {
    "apns": lambda body: body["pc"],
    "fcm": lambda body: json.loads(body["message"]["data"]["pc"]),
    "expo": lambda body: body["data"]["pc"],
    "webpush": lambda body: body["options"]["data"]["pc"],
}


def shared_by(ids: list[str], event: dict[str, Any]) -> Message:
    """One message of these notifications, each for two devices."""
    message = message_of(event)
    message.targets = message.targets.picked([0] * 2 * len(ids))
    message.targets.notification = [number // 2 for number in range(2 * len(ids))]
    message.targets.delivery_id = [number.to_bytes(16, "big") for number in range(2 * len(ids))]
    message.notification_ids = ids
    message.created_at *= len(ids)
    message.traces *= len(ids)
    return message


@pytest.mark.parametrize("platform", OWN)
def test_each_notification_of_a_shared_message_has_its_own_id(platform: str) -> None:
    bodies = bodies_of(platform, shared_by(IDS, EVENT))
    assert [OWN[platform](body)["id"] for body in bodies] == [each for each in IDS for _ in range(2)]
    assert {OWN[platform](body)["link"] for body in bodies} == {EVENT["link"]}


@pytest.mark.parametrize("platform", OWN)
def test_one_notification_of_many_devices_is_rendered_once(platform: str) -> None:
    assert [OWN[platform](body)["id"] for body in bodies_of(platform, shared_by(["n-1"], EVENT))] == ["n-1"] * 2


@pytest.mark.parametrize("platform", OWN)
def test_what_needs_no_object_has_none(platform: str) -> None:
    assert '"pc"' not in json.dumps(bodies_of(platform, shared_by(IDS, {"title": "Goal!", "data": {"k": "v"}})))


@pytest.mark.parametrize("platform", OWN)
def test_apps_of_a_class_with_engagement_are_told_the_id_of_every_notification(platform: str) -> None:
    bodies = bodies_of(platform, shared_by(IDS, {"class": "tracked", "title": "Goal!"}))
    assert [OWN[platform](body) for body in bodies] == [{"id": each} for each in IDS for _ in range(2)]
    event = {"class": "tracked", "data": {"k": "v"}, "options": {"push_type": "background", "priority": "normal"}}
    [body] = bodies_of(platform, message_of(event))
    assert OWN[platform](body) == {"id": "n-1"}


@pytest.mark.parametrize("platform", OWN)
def test_the_longest_id_counts_against_the_limit(platform: str) -> None:
    event = {"title": "Goal!", "link": "https://example.com/", "data": {"k": "x" * 3700}}
    assert len(bodies_of(platform, shared_by(["n-1", "n-2"], event))) == 4
    with pytest.raises(Unsendable) as refused:
        bodies_of(platform, shared_by(["n-1", "n" * 500], event))
    assert refused.value.reason == "payload_too_large"


@pytest.mark.parametrize("field", ["image", "link", "actions"])
@pytest.mark.parametrize("platform", OWN)
def test_each_field_that_only_the_app_can_show_is_there_beside_the_id(platform: str, field: str) -> None:
    values: dict[str, Any] = {
        "image": "https://example.com/goal.png",
        "link": "app://match/1",
        "actions": [{"id": "open", "title": "Open"}],
    }
    [own] = map(OWN[platform], bodies_of(platform, message_of({"title": "Goal!", field: values[field]})))
    assert own == {"id": "n-1", field: values[field]}
