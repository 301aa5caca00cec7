"""G25 of doors.md for what is no Unicode: bytes of headers that are not UTF-8, half a surrogate pair in JSON."""

from __future__ import annotations

import orjson
import pytest

from pushcast.gateway.anonymous import AnonymousDevices
from pushcast.gateway.events import read_object
from pushcast.gateway.problems import FieldError, Problem, encoded
from twins.gateway import gateway

NOTE = b'{"user":"u","app":"news","title":"t"}'


def test_a_problem_that_quotes_half_a_surrogate_pair_can_be_answered() -> None:
    problem = Problem("unknown_field", "no field \udcff", errors=[FieldError("#/\ud800", "unknown_field", "\udcff?")])
    told = orjson.loads(encoded(problem))
    assert (told["detail"], told["errors"]) == (
        "no field ?", [{"pointer": "#/?", "code": "unknown_field", "detail": "??"}]
    )  # fmt: skip


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/v1/notifications", {b"Content-Type": b"text/\xff"}),
        ("/v1/notifications/bulk", {b"Content-Type": b"text/\xff"}),
        ("/v1/notifications", {b"Content-Type": b"application/json", b"Content-Encoding": b"\xff"}),
    ],
)
async def test_a_type_or_coding_that_is_not_utf8_is_refused_as_others_are(
    path: str, headers: dict[bytes, bytes]
) -> None:
    async with gateway() as rig, rig.client(rig.key()) as client:
        answer = await client.post(path, content=NOTE, headers=headers)
    assert (answer.status_code, answer.json()["type"]) == (415, "/problems/unsupported_media_type")


@pytest.mark.parametrize("path", ["/v1/notifications", "/v1/notifications/bulk", "/v1/broadcasts"])
async def test_an_idempotency_key_that_is_not_utf8_is_refused_by_name(path: str) -> None:
    note = {"user": "u", "app": "news", "title": "t"}
    cast = {"app": "news", "title": "t", "audience": {"all": True}}
    bodies = {"/v1/notifications": note, "/v1/notifications/bulk": {"notifications": [note]}, "/v1/broadcasts": cast}
    async with gateway() as rig, rig.client(rig.key()) as client:
        answer = await client.post(path, json=bodies[path], headers={b"Idempotency-Key": b"order \xff"})
    assert (answer.status_code, answer.json()["detail"]) == (400, "Idempotency-Key is not UTF-8")
    assert rig.producer.puts == []


def test_a_devices_secret_that_is_not_utf8_is_a_wrong_one() -> None:
    with pytest.raises(Problem) as refused:
        AnonymousDevices(b"k" * 32).identify("news", "d-1", "\udcff")
    assert refused.value.name == "not_your_device"


@pytest.mark.parametrize(
    ("method", "path", "body", "field"),
    [
        ("POST", "/v1/notifications", b'{"id":"\\udcff","user":"u","title":"t"}', "#/id"),
        ("POST", "/v1/broadcasts", b'{"id":"\\udcff","app":"news","title":"t","audience":{"all":true}}', "#/id"),
        ("PUT", "/v1/pauses/news/apns", b'{"comment":"\\udcff"}', "#/comment"),
        ("POST", "/v1/campaigns/cup/cancel", b'{"comment":"\\udcff"}', "#/comment"),
        ("POST", "/v1/campaigns/cup/cancel", b'{"\\udcff":1}', "#/a field's name"),
        ("POST", "/v1/engagement", b'{"user":"u","\\udcff":1,"events":[]}', "#/a field's name"),
        ("PUT", "/v1/users/u/devices/news/d", b'{"platform":"apns","token":"\\udcff"}', "#/token"),
        ("PUT", "/v1/users/u/preferences", b'{"time_zone":"\\udcff"}', "#/time_zone"),
    ],
)
async def test_half_a_surrogate_pair_in_a_body_is_refused_by_its_field(
    method: str, path: str, body: bytes, field: str
) -> None:
    async with gateway() as rig, rig.client(rig.key()) as client:
        answer = await client.request(method, path, content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, field)
    assert rig.producer.puts == []


def test_a_whole_surrogate_pair_is_a_text() -> None:
    assert read_object(b'{"a":"\\ud83d\\ude00","a\\u003ab":1}') == {"a": "\U0001f600", "a:b": 1}
