"""What apps tell of pushes, over real HTTP without Kafka."""

from __future__ import annotations

from typing import Any

import pytest

from pushcast.stream.errors import OutboxFailed
from pushcast.wire.control.api_keys import Scope
from pushcast.wire.events.engagement import Engagement, EngagementDecoder
from twins.gateway import NOW_MS, gateway

PATH = "/v1/engagement"
ON = {"app": "news", "device": "d-1"}
TWO = [{"event": "received", "notification": "n-1"}, {"event": "opened", "ids": ["n-1", "n-2"], "at": NOW_MS - 5}]


def read(value: bytes | None) -> Engagement:
    return EngagementDecoder().decode("user-42", value, NOW_MS)


async def test_events_of_a_device_are_written_under_their_user() -> None:
    async with gateway() as rig, rig.client(rig.key(Scope.ENGAGEMENT_WRITE)) as client:
        answer = await client.post(PATH, json={"user": "user-42", **ON, "events": TWO})
    assert (answer.status_code, answer.json()) == (202, {"user": "user-42", "accepted": 2})
    assert [(put.topic, put.key) for put in rig.producer.puts] == [("push.engagement.v1", b"user-42")] * 2
    first, second = (read(put.value) for put in rig.producer.puts)
    assert (first.event, first.ids, first.device, first.at) == ("received", ("n-1",), "d-1", NOW_MS)
    assert (second.event, second.ids, second.at) == ("opened", ("n-1", "n-2"), NOW_MS - 5)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"user": "u", **ON, "events": []}, "#/events"),
        ({"user": "u", **ON, "events": [TWO[0]] * 101}, "#/events"),
        ({"user": "u", **ON, "events": [TWO[0], {"event": "opened"}]}, "#/events/1/ids"),
        ({"user": "u", **ON, "events": [{"event": "clicked", "notification": "n"}]}, "#/events/0/event"),
        ({"user": "u", **ON, "events": [{"event": "opened", "notification": "n", "ids": ["m"]}]}, "#/events/0/ids"),
        ({"user": "u", **ON, "events": ["opened"]}, "#/events/0"),
        ({"user": "u", "events": [TWO[0]]}, "#/events/0/device"),
        ({**ON, "events": [TWO[0]]}, "#/user"),
    ],
)
async def test_nothing_is_written_unless_all_are_valid(body: dict[str, Any], pointer: str) -> None:
    async with gateway() as rig, rig.client(rig.key()) as client:
        answer = await client.post(PATH, json=body)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)
    assert rig.producer.puts == []


async def test_a_key_tells_of_its_apps_only_and_needs_its_scope() -> None:
    async with gateway() as rig:
        body = {"user": "u", **ON, "events": TWO}
        async with rig.client(rig.key(Scope.ENGAGEMENT_WRITE, apps=("shop",))) as client:
            other = await client.post(PATH, json=body)
            nobody = await client.post(PATH, json={"user": "u", "events": [{"event": "read", "ids": ["n"]}]})
        async with rig.client(rig.key(Scope.NOTIFICATIONS_SEND)) as client:
            scope = await client.post(PATH, json=body)
    assert [answer.json()["type"] for answer in (other, nobody, scope)] == [
        *["/problems/app_not_allowed"] * 2,
        "/problems/scope_missing",
    ]
    assert rig.producer.puts == []


async def test_what_kafka_does_not_confirm_may_be_told_again() -> None:
    async with gateway() as rig, rig.client(rig.key()) as client:
        rig.producer.refusal = OutboxFailed("away")
        answer = await client.post(PATH, json={"user": "u", **ON, "events": TWO})
    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/kafka_unavailable")
    assert "Retry-After" in answer.headers
