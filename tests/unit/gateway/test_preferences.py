"""What users choose, over real HTTP without Kafka."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pushcast.wire.control.api_keys import Scope
from twins.gateway import gateway

PATH = "/v1/users/u/preferences"
QUIET = [{"from": "22:00", "to": "07:00"}]
CHOSEN = {"classes": {"marketing": "off"}, "quiet_hours": QUIET, "time_zone": "Europe/Berlin"}


async def test_choices_are_written_for_all_apps_or_for_one() -> None:
    async with gateway() as rig, rig.client(rig.key(Scope.DEVICES_WRITE)) as client:
        every, one = await client.put(PATH, json=CHOSEN), await client.put(f"{PATH}/news", json={})
    assert (every.status_code, every.json()["app"], one.json()["app"]) == (202, None, "news")
    assert {(put.topic, put.key) for put in rig.producer.puts} == {("push.device.changed.v1", b"u")}
    values = [json.loads(put.value or b"") for put in rig.producer.puts]
    assert values == [{**CHOSEN, "user": "u", "op": "prefer"}, {"user": "u", "op": "prefer", "app": "news"}]


@pytest.mark.parametrize(
    ("path", "body", "pointer"),
    [
        (PATH, {"classes": {"chat": "loud"}}, "#/classes/chat"),
        (PATH, {"time_zone": "Europe/Nowhere"}, "#/time_zone"),
        (PATH, {"token": "x"}, "#/token"),
        (f"{PATH}/news", {"app": "shop"}, "#/app"),
        (PATH, {"op": "forget_user"}, "#/op"),
        (f"{PATH}/nobody", {}, "#/app"),
    ],
)
async def test_a_wrong_choice_is_named_and_nothing_written(path: str, body: dict[str, Any], pointer: str) -> None:
    async with gateway() as rig, rig.client(rig.key()) as client:
        answer = await client.put(path, json=body)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)
    assert rig.producer.puts == []


async def test_a_key_of_one_app_reads_and_writes_the_choices_of_that_app() -> None:
    async with gateway() as rig, rig.client(rig.key(apps=("news",))) as client:
        rig.choices = {"": {"muted_until": "x"}, "news": {"classes": {"a": "off"}}, "shop": {}}
        refused = [await client.put(PATH, json={}), await client.get(PATH), await client.get(f"{PATH}/shop")]
        own = await client.get(f"{PATH}/news")
        async with rig.client(rig.key()) as everything:
            every = await everything.get(PATH)
    assert [answer.status_code for answer in refused] == [403] * 3
    assert own.json() == {"user": "u", "everywhere": {"muted_until": "x"}, "apps": {"news": {"classes": {"a": "off"}}}}
    assert every.json()["apps"].keys() == {"news", "shop"}
