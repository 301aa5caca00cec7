"""POST /v1/notifications over real HTTP, without Kafka. Numbers are those of the acceptance facts (doors.md, D)."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from uuid import UUID

import pytest

from pushcast.model.ids import partition_of
from pushcast.stream.errors import Full, OutboxFailed, RecordTooLarge
from pushcast.wire.control.api_keys import Scope
from twins.gateway import PARTITIONS, gateway

EVENT = {"id": "n-1", "user": "user-42", "app": "news", "class": "breaking", "title": "Goal!"}


async def post(rig: Any, body: Any, key: str | None = None, **headers: str) -> Any:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with rig.client(key or rig.key()) as client:
        return await client.post(
            "/v1/notifications", content=content, headers={"Content-Type": "application/json", **headers}
        )


def pointers(answer: Any) -> list[str]:
    return [error["pointer"] for error in answer.json()["errors"]]


async def test_g1_a_202_names_the_record_that_kafka_has() -> None:
    async with gateway() as rig:
        answer = await post(rig, EVENT)
    assert answer.status_code == 202, answer.text
    (put,) = rig.producer.puts
    assert put.topic == "push.notification.urgent.v1"
    assert put.partition == partition_of(b"user-42", PARTITIONS)
    assert put.value is not None
    assert json.loads(put.value) == EVENT
    said = answer.json()
    assert said["record"] == f"{put.topic}/{put.partition}/0"
    assert (said["id"], said["user"], said["lane"], said["replayed"]) == ("n-1", "user-42", "urgent", False)
    assert said["expires_at"].endswith("Z")


async def test_g3_the_same_idempotency_key_gives_the_same_id_in_every_process() -> None:
    event = {name: value for name, value in EVENT.items() if name != "id"}
    ids = []
    async with gateway() as one, gateway() as other:
        key = one.key()
        other.keyring = one.keyring
        other.door._keyring = one.keyring
        for rig in (one, other):
            answer = await post(rig, event, key, **{"Idempotency-Key": "order-456-shipped"})
            assert answer.status_code == 202, answer.text
            ids.append(answer.json()["id"])
    assert ids[0] == ids[1]
    assert UUID(ids[0]).version == 8
    assert json.loads(one.producer.puts[0].value or b"")["id"] == ids[0]


async def test_g4_the_same_id_with_other_content_is_refused() -> None:
    async with gateway() as rig:
        key = rig.key()
        assert (await post(rig, EVENT, key)).status_code == 202
        again = await post(rig, EVENT, key)
        other = await post(rig, EVENT | {"title": "Another"}, key)
        elsewhere = await post(rig, EVENT | {"title": "Another", "user": "user-43"}, key)
    assert (again.status_code, again.json()["replayed"]) == (202, True)
    assert (other.status_code, other.json()["type"]) == (422, "/problems/idempotency_key_reused")
    assert elsewhere.status_code == 202, "ids are unique per user only"


async def test_g5_without_an_id_each_is_another_notification() -> None:
    event = {name: value for name, value in EVENT.items() if name != "id"}
    async with gateway() as rig:
        key = rig.key()
        ids = [(await post(rig, event, key)).json()["id"] for _ in range(2)]
    assert ids[0] != ids[1]
    assert [UUID(each).version for each in ids] == [7, 7]


@pytest.mark.parametrize(
    ("change", "problem", "pointer"),
    [
        ({"usr": "u"}, "unknown_field", "#/usr"),
        ({"options": {"badge": "x"}}, "invalid_field", "#/options/badge"),
        ({"options": {"bage": 1}}, "unknown_field", "#/bage"),
        ({"app": "unknown"}, "invalid_field", "#/app"),
        ({"class": "unknown"}, "invalid_field", "#/class"),
        ({"title": ""}, "invalid_field", "#/title"),
        ({"expires_at": "tomorrow"}, "invalid_field", "#/expires_at"),
        ({"spread_seconds": 60}, "invalid_field", "#/spread_seconds"),  # T3 of time.md: the class is urgent
        ({"id": 7}, "invalid_field", "#/id"),
        ({"id": ""}, "invalid_field", "#/id"),
        ({"user": None}, "invalid_field", "#/user"),
        ({"options": {"badge": 2**64}}, "invalid_field", "#/options/badge"),
    ],
)
async def test_g6_a_field_that_is_not_valid_is_named_and_nothing_is_written(
    change: dict[str, Any], problem: str, pointer: str
) -> None:
    async with gateway() as rig:
        answer = await post(rig, EVENT | change)
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert answer.json()["type"] == f"/problems/{problem}"
    assert pointers(answer) == [pointer]
    assert rig.producer.puts == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"7",
        b"null",
        b"[" * 10_000,
        b'{"a":' * 10_000,
        b'{"id":"a","id":"b","user":"u","title":"t"}',
        b'{"id":"a","user":"u","title":"t","options":{"badge":1,"badge":2}}',
        b'{"id":"a","user":"u","title":NaN}',
        b'{"id":"a","user":"u","title":"t","options":{"relevance_score":Infinity}}',
        b'{"id":"a","user":"u","title":"\\ud800"}',
        b'{"id":"a","user":"\\udc00","title":"t"}',
        b'{"user":"u","title":"t","data":{"a":"\\ud800"}}',
        b'{"id":"a","user":"u","title":"\xff"}',
        b'{"id":"a","user":"u","options":{"badge":' + b"9" * 5000 + b"}}",
        b'{"id":"a","user":"u","title":"t","options":{"relevance_score":1e999}}',
    ],
)
async def test_g7_what_is_no_json_object_is_refused(body: bytes) -> None:
    async with gateway() as rig:
        answer = await post(rig, body)
    assert answer.status_code in (400, 422), answer.text
    assert answer.json()["type"] in ("/problems/invalid_json", "/problems/invalid_field")
    assert rig.producer.puts == []


@pytest.mark.parametrize(
    ("user", "problem"),
    [
        ("a\0b", "invalid_field"),
        ("u" * 257, "invalid_field"),
        ("ü" * 129, "invalid_field"),
        ("", "invalid_field"),
        ("device:d-1", "reserved_user"),
        ("canary:news:apns", "reserved_user"),
        ("broadcast:b-1", "reserved_user"),
    ],
)
async def test_g8_a_user_that_cannot_be_is_refused(user: str, problem: str) -> None:
    async with gateway() as rig:
        answer = await post(rig, EVENT | {"user": user})
    assert (answer.status_code, answer.json()["type"]) == (422, f"/problems/{problem}")
    assert rig.producer.puts == []


async def test_g9_a_payload_that_apple_would_refuse_is_told_at_the_door() -> None:
    async with gateway() as rig:
        fits = await post(rig, EVENT | {"app": "shop", "body": "x" * 3800})
        too_large = await post(rig, EVENT | {"id": "n-2", "app": "shop", "body": "x" * 4097})
        variant = await post(rig, EVENT | {"id": "n-3", "app": "shop", "locales": {"de": {"body": "x" * 4097}}})
    assert fits.status_code == 202, fits.text
    assert (too_large.status_code, too_large.json()["type"]) == (422, "/problems/payload_too_large")
    assert "apns" in too_large.json()["detail"]
    assert "4096" in too_large.json()["detail"].replace(",", "")
    assert "locales.de" in variant.json()["detail"]


async def test_g19_without_kafka_it_says_so_and_writes_nothing() -> None:
    async with gateway(ack_seconds=0.05) as rig:
        key = rig.key()
        rig.producer.confirms = False
        unconfirmed = await post(rig, EVENT, key)
        rig.producer.oldest = 2.5
        away = await post(rig, EVENT | {"id": "n-2"}, key)
    assert (unconfirmed.status_code, unconfirmed.json()["type"]) == (503, "/problems/ack_timeout")
    assert (away.status_code, away.json()["type"]) == (503, "/problems/kafka_unavailable")
    assert int(away.headers["Retry-After"]) >= 1
    assert len(rig.producer.puts) == 1


@pytest.mark.parametrize(
    ("refusal", "failure", "status", "problem"),
    [
        (Full("10000 records"), None, 503, "overloaded"),
        (OutboxFailed("fenced"), None, 503, "kafka_unavailable"),
        (None, OutboxFailed("not authorized"), 503, "ack_timeout"),
        (None, RecordTooLarge("t", 0, 9, "more than 1 MiB"), 422, "payload_too_large"),
    ],
)
async def test_what_the_producer_refuses_is_a_problem(
    refusal: Exception | None, failure: Exception | None, status: int, problem: str
) -> None:
    async with gateway() as rig:
        rig.producer.refusal, rig.producer.failure = refusal, failure
        answer = await post(rig, EVENT)
    assert (answer.status_code, answer.json()["type"]) == (status, f"/problems/{problem}")


async def test_g25_a_line_break_in_a_title_stays_text_and_makes_no_header() -> None:
    async with gateway() as rig, rig.client(rig.key()) as client:
        answer = await client.post(
            "/v1/notify/user-42", params={"title": "a\r\nX-Evil: y", "app": "news"}, content=b"Hello"
        )
    assert answer.status_code == 202, answer.text
    assert "x-evil" not in answer.headers
    written = json.loads(rig.producer.puts[0].value or b"")
    assert (written["title"], written["body"], written["app"]) == ("a\r\nX-Evil: y", "Hello", "news")


async def test_g25_a_raw_line_break_in_a_header_ends_the_header() -> None:
    async with gateway() as rig:
        reader, writer = await asyncio.open_connection("127.0.0.1", rig.server.port)
        writer.write(
            b"POST /v1/notifications HTTP/1.1\r\nHost: h\r\nIdempotency-Key: a\rX: y\r\nContent-Length: 2\r\n\r\n{}"
        )
        answer = await reader.read(4096)
        writer.close()
    assert b" 400 " in answer.split(b"\r\n")[0]
    assert b"application/problem+json" in answer


async def test_the_one_line_form_takes_text_only() -> None:
    async with gateway() as rig, rig.client(rig.key()) as client:
        unknown = await client.post("/v1/notify/u", params={"tittle": "x"}, content=b"Hello")
        html = await client.post("/v1/notify/u", content=b"Hello", headers={"Content-Type": "text/html"})
        latin = await client.post("/v1/notify/u", content=b"\xff")
    assert [each.status_code for each in (unknown, html, latin)] == [400, 415, 400]
    assert rig.producer.puts == []


async def test_numbers_and_texts_are_written_as_the_client_wrote_them() -> None:
    body = b'{ "user":"u","title":"\\u00e9","data":{"price":1.10,"big":12345678901234567} }'
    async with gateway() as rig:
        answer = await post(rig, body)
    assert answer.status_code == 202, answer.text
    assert b'"title":"\\u00e9","data":{"price":1.10,"big":12345678901234567}' in (rig.producer.puts[0].value or b"")


async def test_a_null_id_is_an_absent_one() -> None:
    async with gateway() as rig:
        answer = await post(rig, EVENT | {"id": None})
    assert answer.status_code == 202
    assert json.loads(rig.producer.puts[0].value or b"")["id"] == answer.json()["id"]


async def test_a_key_that_may_only_register_devices_sends_nothing() -> None:
    async with gateway() as rig:
        answer = await post(rig, EVENT, rig.key(Scope.DEVICES_WRITE))
    assert (answer.status_code, answer.json()["type"]) == (403, "/problems/scope_missing")
