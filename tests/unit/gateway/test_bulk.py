"""Many notifications or devices in one request. Numbers are those of the acceptance facts (doors.md, D)."""

from __future__ import annotations

import gzip
import json
from typing import Any

from pushcast.stream.errors import Full
from pushcast.wire.control.control import Rate
from twins.gateway import Rig, gateway

BULK = "/v1/notifications/bulk"
JSON = {"Content-Type": "application/json"}
LINES = {"Content-Type": "application/x-ndjson"}


def note(number: int, **more: Any) -> dict[str, Any]:
    return {"id": f"n-{number}", "user": f"u-{number}", "title": "Goal!"} | more


async def post(rig: Rig, body: bytes, headers: dict[str, str] = JSON, path: str = BULK) -> Any:
    async with rig.client(rig.key()) as client:
        return await client.post(path, content=body, headers=headers)


def listed(*notes: dict[str, Any]) -> bytes:
    return json.dumps({"notifications": notes}).encode()


async def test_g16_one_invalid_of_a_thousand_is_named_and_the_others_are_written() -> None:
    notes = [note(number) for number in range(1000)]
    notes[17] = note(17, options={"badge": "x"})
    async with gateway() as rig:
        answer = await post(rig, listed(*notes))
    said = answer.json()
    assert (answer.status_code, said["accepted"], said["rejected"], said["unknown"]) == (207, 999, 1, 0)
    (refused,) = said["results"]
    assert (refused["index"], refused["id"], refused["status"]) == (17, "n-17", 422)
    assert refused["problem"]["errors"][0]["pointer"] == "#/options/badge"
    assert len(rig.producer.puts) == 999


async def test_g16_atomic_writes_nothing_unless_all_are_valid() -> None:
    async with gateway() as rig:
        refused = await post(rig, listed(note(1), note(2, app="?")), path=f"{BULK}?atomic=true")
        assert rig.producer.puts == []
        taken = await post(rig, listed(note(1), note(2)), path=f"{BULK}?atomic=true")
        wrong = await post(rig, listed(note(3)), path=f"{BULK}?atomic=yes")
    assert refused.status_code == 422
    assert [each["pointer"] for each in refused.json()["errors"]] == ["#/notifications/1"]
    assert (taken.status_code, taken.json()["accepted"]) == (202, 2)
    assert wrong.status_code == 400


async def test_g17_a_thousand_and_one_are_too_many() -> None:
    async with gateway() as rig:
        answer = await post(rig, listed(*[note(number) for number in range(1001)]))
    assert answer.status_code == 422
    assert "1,000" in answer.json()["detail"]
    assert rig.producer.puts == []


async def test_g17_a_body_over_4_mib_is_refused_however_it_is_announced() -> None:
    body = b" " * ((4 << 20) + 1)

    async def chunks() -> Any:
        for start in range(0, len(body), 1 << 16):
            yield body[start : start + (1 << 16)]

    async with gateway() as rig:
        announced = await post(rig, body)
        async with rig.client(rig.key()) as client:
            chunked = await client.post(BULK, content=chunks(), headers=JSON)
        assert rig.server.bodies.held_bytes == 0
    assert [announced.status_code, chunked.status_code] == [413, 413]
    assert "4,194,304" in announced.json()["detail"]


async def test_g17_content_codings_are_not_taken() -> None:
    async with gateway() as rig:
        answer = await post(rig, gzip.compress(listed(note(1))), JSON | {"Content-Encoding": "gzip"})
    assert (answer.status_code, answer.json()["type"]) == (415, "/problems/unsupported_media_type")


async def test_lines_are_taken_too_and_ids_come_from_their_place() -> None:
    lines = b"\n".join(json.dumps({"user": f"u-{n}", "title": "t"}).encode() for n in range(3)) + b"\n\n"
    async with gateway() as rig:
        one = await post(rig, lines, LINES | {"Idempotency-Key": "k"})
    assert (one.status_code, one.json()["accepted"]) == (202, 3)
    assert len({json.loads(put.value or b"")["id"] for put in rig.producer.puts}) == 3


async def test_an_id_that_is_no_text_is_refused_alone_and_the_answer_is_whole() -> None:
    lines = b'{"id":"\\ud800","user":"u","title":"t"}\n{"id":"n","user":"u","title":"t"}'
    async with gateway() as rig:
        answer = await post(rig, lines, LINES)
        devices = await post(rig, b'{"device":"\\ud800","user":"u","op":"register"}', LINES, "/v1/devices/bulk")
    (refused,) = answer.json()["results"]
    assert (answer.status_code, answer.json()["accepted"], refused["id"], refused["status"]) == (207, 1, None, 400)
    assert refused["problem"]["errors"][0]["pointer"] == "#/id"
    assert (devices.status_code, devices.json()["results"][0]["id"]) == (207, None)


async def test_what_kafka_does_not_confirm_makes_the_whole_answer_a_503() -> None:
    async with gateway(ack_seconds=0.05) as rig:
        rig.producer.confirms = False
        answer = await post(rig, listed(note(1), note(2, app="?")))
    said = answer.json()
    assert (answer.status_code, said["accepted"], said["rejected"], said["unknown"]) == (503, 0, 1, 1)


async def test_a_bulk_that_is_no_list_is_refused() -> None:
    async with gateway() as rig:
        answers = [
            await post(rig, body)
            for body in (b"{}", b"[]", b'{"notifications":{}}', b'{"notifications":[],"x":1}', b"{")
        ]
        empty = await post(rig, listed())
    assert [answer.status_code for answer in answers] == [400] * 5
    assert (empty.status_code, empty.json()["accepted"]) == (202, 0)


async def test_devices_come_in_bulk_as_the_import_takes_them() -> None:
    device = {"op": "register", "app": "news", "device": "d-1", "platform": "apns", "token": "ab" * 32, "user": "u"}
    body = json.dumps({"devices": [device, device | {"platform": "?"}, device | {"device": ""}]}).encode()
    async with gateway() as rig:
        answer = await post(rig, body, path="/v1/devices/bulk")
    assert (answer.status_code, answer.json()["accepted"]) == (207, 1)
    assert [each["index"] for each in answer.json()["results"]] == [1, 2]
    assert rig.producer.puts[0].topic == "push.device.changed.v1"


async def test_a_bulk_that_finds_no_room_in_time_is_overloaded_and_may_be_repeated() -> None:
    async with gateway(ack_seconds=0.05) as rig:
        rig.producer.refusal = Full("10000 records")
        answer = await post(rig, listed(note(1), note(2)))
    said = answer.json()
    assert (answer.status_code, said["accepted"], said["unknown"]) == (503, 0, 2)
    assert said["results"][0]["problem"]["type"] == "/problems/overloaded"
    assert "Retry-After" in answer.headers


async def test_of_a_bulk_that_kafka_does_not_confirm_each_is_named() -> None:
    async with gateway(ack_seconds=0.05) as rig:
        rig.producer.confirms = False
        answer = await post(rig, listed(note(1), note(2)))
    problems = [each["problem"]["type"] for each in answer.json()["results"]]
    assert (answer.status_code, problems) == (503, ["/problems/ack_timeout"] * 2)


async def test_a7_a_rate_that_lets_some_expire_is_told_in_the_answer() -> None:
    classes = {"promo": {"per_minute": 10, "ttl_seconds": 60}, "chat": {}}
    notes = [note(number, **{"class": "promo"}) for number in range(15)]
    async with gateway(options={"classes": classes}) as rig:
        slow = await post(rig, listed(*notes, note(99, **{"class": "chat"})))
        fast = await post(rig, listed(*notes[:10]))
        rig.control.paces["xmas"] = Rate(1, "ann", "")
        one = await post(
            rig, json.dumps(note(1, campaign="xmas", options={"ttl_seconds": 30})).encode(), path="/v1/notifications"
        )
    [told] = slow.json()["too_slow"]
    assert [told[name] for name in ("rate", "per_minute", "notifications", "late")] == ["class/promo", 10, 15, 5]
    assert (slow.status_code, slow.json()["accepted"]) == (202, 16), "they are written all the same"
    assert "too_slow" not in fast.json()
    assert [each["rate"] for each in one.json()["too_slow"]] == ["campaign/xmas"]
