"""Devices whose user has not signed in. Numbers are those of the acceptance facts (doors.md, D)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pushcast.config.doors import Gateway
from pushcast.gateway.anonymous import AnonymousDevices, read_device_key
from pushcast.model.errors import ConfigurationError
from pushcast.wire.control.api_keys import ApiKey, app_key, encode_record, new_key
from twins.gateway import Rig, gateway

DEVICE = {"platform": "apns", "token": "ab" * 32}
PATH = "/v1/me/devices/d-1"


@pytest.fixture
def options(tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "device.key").write_bytes(b"k" * 32)
    return {"gateway": Gateway(device_key_file=tmp_path / "device.key")}


def headers(rig: Rig, app: str = "news", **more: str) -> dict[str, str]:
    key_id, _, _ = new_key()
    rig.keyring.apply(key_id.encode(), encode_record(ApiKey((), (), kind="app", apps=(app,))))
    return {"Pushcast-App": app_key(app, key_id), **{name.replace("_", "-"): value for name, value in more.items()}}


async def test_g28_a_device_gets_a_secret_once_and_must_show_it_then(options: dict[str, Any]) -> None:
    async with gateway(options=options) as rig, rig.client() as client:
        rig.people = {}
        first = await client.put(PATH, json=DEVICE, headers=headers(rig))
        again = await client.put(PATH, json=DEVICE, headers=headers(rig))
        secret = first.json()["secret"]
        proof = {"Pushcast_Device_Secret": secret}
        shown = await client.put(PATH, json=DEVICE, headers=headers(rig, **proof))
        others = [
            await client.put(PATH, json=DEVICE, headers=headers(rig, Pushcast_Device_Secret=secret[:-1] + "-")),
            await client.put("/v1/me/devices/d-2", json=DEVICE, headers=headers(rig, **proof)),
            await client.put(PATH, json=DEVICE, headers=headers(rig, "shop", **proof)),
            await client.delete(PATH, headers=headers(rig)),
        ]
        out = await client.delete(PATH, headers=headers(rig, **proof))
    assert (first.status_code, first.json()["user"]) == (202, "device:d-1")
    assert (again.status_code, again.json()["type"]) == (403, "/problems/not_your_device")
    assert (shown.status_code, "secret" in shown.json(), out.status_code) == (202, False, 202)
    assert [answer.status_code for answer in others] == [403] * 4
    assert [put.key for put in rig.producer.puts] == [b"device:d-1"] * 3
    assert all(b"secret" not in (put.value or b"") for put in rig.producer.puts)


async def test_g28_a_device_that_another_process_registered_must_show_its_secret(options: dict[str, Any]) -> None:
    async with gateway(options=options) as rig, rig.client() as client:
        rig.people = {"device:d-1": [{"app": "news"}]}
        known, other = [await client.put(PATH, json=DEVICE, headers=headers(rig, app)) for app in ("news", "shop")]
    assert (known.status_code, other.status_code) == (403, 202)


async def test_a_device_whose_first_registration_was_refused_or_not_written_comes_again(
    options: dict[str, Any],
) -> None:
    async with gateway(options=options) as rig, rig.client() as client:
        rig.people = {}
        refused = await client.put(PATH, json=DEVICE | {"token": "x"}, headers=headers(rig))
        rig.producer.oldest = 3.0
        away = await client.put(PATH, json=DEVICE, headers=headers(rig))
        rig.producer.oldest = 0.0
        first = await client.put(PATH, json=DEVICE, headers=headers(rig))
    assert (refused.status_code, away.status_code, first.status_code) == (422, 503, 202)
    assert "secret" in first.json()


async def test_a_registration_that_may_have_been_written_tells_its_secret_all_the_same(options: dict[str, Any]) -> None:
    async with gateway(ack_seconds=0.05, options=options) as rig, rig.client() as client:
        rig.people, rig.producer.confirms = {}, False
        late = await client.put(PATH, json=DEVICE, headers=headers(rig))
        rig.producer.confirms = True
        rig.people = {"device:d-1": [{"app": "news"}]}  # it came to be written
        proof = {"Pushcast_Device_Secret": late.json()["secret"]}
        again = await client.put(PATH, json=DEVICE, headers=headers(rig, **proof))
    assert (late.status_code, late.json()["type"], again.status_code) == (503, "/problems/ack_timeout", 202)


async def test_a_client_whose_answer_was_lost_repeats_it_with_its_key(options: dict[str, Any]) -> None:
    async with gateway(ack_seconds=0.05, options=options) as rig, rig.client() as client:
        rig.people = {}
        mine = {"Idempotency_Key": "6f1c"}
        lost = await client.put(PATH, json=DEVICE, headers=headers(rig, **mine))
        rig.people = {"device:d-1": [{"app": "news"}]}
        again = await client.put(PATH, json=DEVICE, headers=headers(rig, **mine))
        others = [
            await client.put(PATH, json=DEVICE, headers=headers(rig, **more))
            for more in ({"Idempotency_Key": "6f1d"}, {})
        ]
        rig.producer.confirms = False
        late = await client.put("/v1/me/devices/d-2", json=DEVICE, headers=headers(rig, **mine))
        rig.producer.confirms = True
        rig.people["device:d-2"] = [{"app": "news"}]
        found = await client.put("/v1/me/devices/d-2", json=DEVICE, headers=headers(rig, **mine))
        empty = await client.put("/v1/me/devices/d-3", json=DEVICE, headers=headers(rig, Idempotency_Key=""))
    assert (lost.status_code, again.status_code) == (202, 202)
    assert lost.json()["secret"] == again.json()["secret"]
    assert [answer.status_code for answer in others] == [403, 403]
    assert (late.status_code, found.status_code, empty.status_code) == (503, 202, 400)
    assert late.json()["secret"] == found.json()["secret"]


async def test_a_registration_that_was_refused_may_come_again_with_another_key(options: dict[str, Any]) -> None:
    async with gateway(options=options) as rig, rig.client() as client:
        rig.people = {}
        refused = await client.put(PATH, json=DEVICE | {"token": "x"}, headers=headers(rig, Idempotency_Key="a"))
        first = await client.put(PATH, json=DEVICE, headers=headers(rig, Idempotency_Key="b"))
    assert (refused.status_code, "secret" in refused.json(), first.status_code) == (422, False, 202)


async def test_an_anonymous_device_tells_of_its_own_pushes_only(options: dict[str, Any]) -> None:
    body = {"events": [{"event": "opened", "notification": "n"}]}
    async with gateway(options=options) as rig, rig.client() as client:
        secret = rig.calls.anonymous.secret_of("news", "d-1")
        mine = headers(rig, Pushcast_Device="d-1", Pushcast_Device_Secret=secret)
        told = await client.post("/v1/me/engagement", json=body, headers=mine)
        other = await client.post("/v1/me/engagement", json=body | {"device": "d-2"}, headers=mine)
        unproven = await client.post("/v1/me/engagement", json=body, headers=headers(rig, Pushcast_Device="d-1"))
        nobody = await client.post("/v1/me/engagement", json=body, headers=headers(rig))
    assert told.status_code == 202, told.text
    assert json.loads(rig.producer.puts[0].value or b"")["device"] == "d-1"
    assert [answer.status_code for answer in (other, unproven, nobody)] == [422, 403, 400]
    assert len(rig.producer.puts) == 1


async def test_without_a_key_of_the_configuration_nobody_is_anonymous() -> None:
    async with gateway() as rig, rig.client() as client:
        answer = await client.put(PATH, json=DEVICE, headers=headers(rig))
    assert (answer.status_code, answer.json()["type"]) == (401, "/problems/token_refused")


async def test_a_server_key_cannot_name_an_anonymous_device() -> None:
    async with gateway() as rig, rig.client(rig.key()) as client:
        answer = await client.put("/v1/users/device:d-1/devices/news/d-1", json=DEVICE)
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/reserved_user")


def test_secrets_differ_by_app_and_device_and_key() -> None:
    one, other = AnonymousDevices(b"k" * 32), AnonymousDevices(b"l" * 32)
    found = {one.secret_of("news", "d"), one.secret_of("shop", "d"), one.secret_of("news", "e")}
    assert len(found | {other.secret_of("news", "d"), one.secret_of("newsd", "")}) == 5


def test_a_key_that_is_too_short_or_missing_is_named_with_its_file(tmp_path: Path) -> None:
    (tmp_path / "short").write_bytes(b"k" * 31)
    for name in ("short", "none"):
        with pytest.raises(ConfigurationError, match=name):
            read_device_key(tmp_path / name)
