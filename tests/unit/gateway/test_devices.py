"""Devices over real HTTP, without Kafka. Numbers are those of the acceptance facts (doors.md, D)."""

from __future__ import annotations

import base64
import json

import pytest

from pushcast.wire.control.api_keys import Scope
from twins.gateway import gateway

DEVICE = {"platform": "apns", "token": "ab" * 32, "locale": "de-DE", "topics": ["team/arsenal"]}
ENDPOINT = "https://updates.push.services.mozilla.com/wpush/v2/x"
KEYS = {
    name: base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
    for name, raw in (("p256dh", b"\4" + bytes(64)), ("auth", bytes(16)))
}
PATH = "/v1/users/user-42/devices/news/d-1"


async def test_a_device_is_registered_and_its_topics_are_answered() -> None:
    async with gateway() as rig, rig.client(rig.key(Scope.DEVICES_WRITE)) as client:
        answer = await client.put(PATH, json=DEVICE)
        twice = await client.put(PATH, json=DEVICE)
    assert (answer.status_code, twice.status_code) == (202, 202)
    said = answer.json()
    assert (said["user"], said["app"], said["device"], said["topics"]) == ("user-42", "news", "d-1", ["team/arsenal"])
    written = json.loads(rig.producer.puts[0].value or b"")
    assert written == {"op": "register", "app": "news", "device": "d-1"} | DEVICE
    assert rig.producer.puts[0].key == b"user-42"


@pytest.mark.parametrize(
    "address",
    [
        {"platform": "webpush", "subscription": {"endpoint": ENDPOINT, "expirationTime": None, "keys": KEYS, "new": 1}},
        {"platform": "webpush", "subscription": {"endpoint": ENDPOINT, **KEYS}},
        {"platform": "apns", "token": base64.b64encode(bytes(32)).decode(), "purpose": "voip"},
        {"platform": "expo", "token": "ExpoPushToken[xxxxxxxxxxxxxxxxxxxxxx]"},
        {"platform": "fcm", "fid": "cFid-of-an-installation"},
    ],
    ids=["toJSON()", "flat", "base64", "Expo's other spelling", "fid"],
)
async def test_an_address_is_taken_as_the_client_hands_it_out(address: dict[str, object]) -> None:
    """Reproduction 5.17."""
    async with gateway() as rig, rig.client(rig.key(Scope.DEVICES_WRITE)) as client:
        answer = await client.put(PATH, json=address)
    assert answer.status_code == 202, answer.text
    assert json.loads(rig.producer.puts[0].value or b"").items() >= address.items()


async def test_g29_more_topics_than_a_device_may_follow_are_refused() -> None:
    async with gateway() as rig, rig.client(rig.key()) as client:
        most = await client.put(PATH, json=DEVICE | {"topics": [f"t/{n}" for n in range(200)]})
        too_many = await client.put(PATH, json=DEVICE | {"topics": [f"t/{n}" for n in range(201)]})
    assert [most.status_code, too_many.status_code] == [202, 422]
    assert too_many.json()["errors"][0]["pointer"] == "#/topics"


async def test_a_token_is_never_answered() -> None:
    async with gateway() as rig, rig.client(rig.key()) as client:
        answer = await client.put(PATH, json=DEVICE | {"token": "secret-token-not-hexadecimal"})
    assert answer.status_code == 422
    assert "secret-token" not in answer.text


async def test_a_body_may_not_contradict_the_path() -> None:
    async with gateway() as rig, rig.client(rig.key()) as client:
        other = await client.put(PATH, json=DEVICE | {"user": "somebody-else"})
        operation = await client.put(PATH, json=DEVICE | {"op": "forget_user"})
    assert [other.status_code, operation.status_code] == [422, 422]
    assert rig.producer.puts == []


async def test_a_device_is_logged_out_and_a_user_forgotten() -> None:
    async with gateway() as rig, rig.client(rig.key()) as client:
        out = await client.delete(PATH)
        forgotten = await client.delete("/v1/users/user%2F42")
    assert [out.status_code, forgotten.status_code] == [202, 202]
    values = [json.loads(put.value or b"") for put in rig.producer.puts]
    assert values == [{"op": "unregister", "app": "news", "device": "d-1"}, {"op": "forget_user"}]
    assert rig.producer.puts[1].key == b"user/42"


async def test_a_key_for_one_app_changes_no_other() -> None:
    async with gateway() as rig, rig.client(rig.key(Scope.DEVICES_WRITE, apps=("shop",))) as client:
        answers = [await client.put(PATH, json=DEVICE), await client.delete(PATH), await client.delete("/v1/users/u")]
    assert [answer.status_code for answer in answers] == [403, 403, 403]
    assert rig.producer.puts == []
