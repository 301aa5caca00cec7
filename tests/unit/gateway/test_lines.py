"""Bodies of lines (NDJSON): taken as they come, about 1 MiB at a time. doors.md, A1 "Limits"."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from typing import Any

import pytest

from pushcast.gateway.reading import GROUP_BYTES, GROUP_LINES, MAX_LINES
from pushcast.stream.errors import OutboxFailed
from pushcast.wire.control.api_keys import KeyLimits
from twins.gateway import Rig, gateway

BULK = "/v1/notifications/bulk"
LINES = {"Content-Type": "application/x-ndjson"}


def lines_of(numbers: Iterable[int], **more: Any) -> bytes:
    rows = ({"id": f"n-{number}", "user": f"u-{number}", "title": "Goal!"} | more for number in numbers)
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


async def post(rig: Rig, body: bytes | AsyncIterator[bytes], path: str = BULK, limits: KeyLimits | None = None) -> Any:
    async with rig.client(rig.key(limits=limits or KeyLimits())) as client:
        return await client.post(path, content=body, headers=LINES)


async def begun(rig: Rig, key: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A request whose first group has come, and whose body goes on."""
    reader, writer = await asyncio.open_connection("127.0.0.1", rig.server.port)
    body = lines_of(range(GROUP_LINES)) + b'{"id":'
    head = f"POST {BULK} HTTP/1.1", "Host: h", f"Authorization: Bearer {key}", "Content-Type: application/x-ndjson"
    writer.write("\r\n".join([*head, f"Content-Length: {len(body) + 50}", "", ""]).encode() + body)
    return reader, writer


async def until(found: Any) -> None:
    async with asyncio.timeout(5):
        while not found():
            await asyncio.sleep(0.01)


async def lines_while_kafka_goes(rig: Rig) -> AsyncIterator[bytes]:
    """A group that is written, and three lines when Kafka is away."""
    yield lines_of(range(GROUP_LINES))
    await until(lambda: len(rig.producer.puts) == GROUP_LINES)
    rig.producer.refusal = OutboxFailed("gone")
    yield lines_of(range(GROUP_LINES, GROUP_LINES + 3))


async def test_lines_are_written_before_the_last_one_has_come() -> None:
    async def parts() -> AsyncIterator[bytes]:
        yield lines_of(range(GROUP_LINES))
        await until(lambda: len(rig.producer.puts) == GROUP_LINES)
        yield lines_of(range(GROUP_LINES, GROUP_LINES + 2))

    async with gateway() as rig:
        answer = await post(rig, parts())
        assert rig.server.bodies.held_bytes == 0
    assert (answer.status_code, answer.json()["accepted"]) == (202, GROUP_LINES + 2)
    assert [json.loads(put.value or b"")["id"] for put in rig.producer.puts] == [f"n-{n}" for n in range(502)]


async def test_a_refused_line_of_a_later_group_is_named_by_its_place() -> None:
    body = lines_of(range(GROUP_LINES + 5)) + b"\r\n{\n" + lines_of([9000])
    async with gateway() as rig:
        answer = await post(rig, body)
    said = answer.json()
    assert (answer.status_code, said["accepted"], said["rejected"]) == (207, GROUP_LINES + 6, 1)
    assert (said["results"][0]["index"], said["results"][0]["status"]) == (GROUP_LINES + 5, 400)


async def test_lines_beyond_the_limit_are_not_read_and_those_before_are_written() -> None:
    async with gateway() as rig:
        limits = KeyLimits(10, 10 * MAX_LINES)
        whole = await post(rig, lines_of(range(MAX_LINES)), limits=limits)
        more = await post(rig, lines_of(range(MAX_LINES + 3), campaign="x"), limits=limits)
        assert rig.server.bodies.held_bytes == 0
    assert (whole.status_code, whole.json()["accepted"]) == (202, MAX_LINES)
    (refused,) = more.json()["results"]
    assert (more.status_code, refused["index"], refused["status"]) == (207, MAX_LINES, 422)
    assert "10,000" in refused["problem"]["detail"]
    assert more.headers["connection"] == "close"


async def test_each_group_pays_the_quota_and_the_request_is_counted_once() -> None:
    async with gateway() as rig:
        answer = await post(rig, lines_of(range(2 * GROUP_LINES)), limits=KeyLimits(1, GROUP_LINES + 100))
    said = answer.json()
    assert (answer.status_code, said["accepted"], said["rejected"]) == (207, GROUP_LINES, GROUP_LINES)
    assert {each["status"] for each in said["results"]} == {429}
    assert len(rig.producer.puts) == GROUP_LINES


async def test_without_room_for_the_first_group_nothing_is_written() -> None:
    async with gateway() as rig:
        answer = await post(rig, lines_of(range(GROUP_LINES)), limits=KeyLimits(1, GROUP_LINES - 1))
        assert rig.server.bodies.held_bytes == 0
    assert (answer.status_code, rig.producer.puts) == (429, [])


async def test_kafka_that_goes_away_between_groups_makes_the_answer_a_503_with_the_list() -> None:
    async with gateway() as rig:
        answer = await post(rig, lines_while_kafka_goes(rig))
    said = answer.json()
    assert (answer.status_code, said["accepted"], said["unknown"]) == (503, GROUP_LINES, 3)
    assert [each["index"] for each in said["results"]] == [GROUP_LINES, GROUP_LINES + 1, GROUP_LINES + 2]


async def test_a_body_that_stops_coming_is_told_in_place_of_the_next_line() -> None:
    async with gateway(request_seconds=0.3) as rig:
        reader, writer = await begun(rig, rig.key())
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
        (refused,) = json.loads(await reader.read())["results"]
        writer.close()
        assert rig.server.bodies.held_bytes == 0
    assert (head[:13], refused["index"], refused["status"]) == (b"HTTP/1.1 207 ", GROUP_LINES, 408)


async def test_a_client_that_goes_within_the_body_is_no_fault_of_ours(caplog: pytest.LogCaptureFixture) -> None:
    async with gateway() as rig:
        _, writer = await begun(rig, rig.key())
        await until(lambda: len(rig.producer.puts) == GROUP_LINES)
        writer.transport.abort()
        await until(lambda: rig.server.bodies.held_bytes == 0)
        await until(lambda: rig.observed)
    assert rig.observed == [("send_bulk", 207)]
    assert [each for each in caplog.records if each.exc_info] == []


@pytest.mark.parametrize(
    ("body", "status"), [(b"x" * (GROUP_BYTES + 70_000), 413), (b"\n \r\n" * 100, 202), (b"", 202)]
)
async def test_a_line_that_is_too_long_and_bodies_without_a_line(body: bytes, status: int) -> None:
    async with gateway() as rig:
        answer = await post(rig, body)
        assert rig.server.bodies.held_bytes == 0
    assert (answer.status_code, rig.producer.puts) == (status, [])


async def test_atomic_lines_are_read_whole() -> None:
    async with gateway() as rig:
        answer = await post(rig, lines_of(range(GROUP_LINES + 1)) + b"{\n", f"{BULK}?atomic=true")
        wrong = await post(rig, lines_of([1]), f"{BULK}?atomic=yes")
    assert (answer.status_code, wrong.status_code, rig.producer.puts) == (422, 400, [])


async def test_devices_come_as_lines_too() -> None:
    row = {"op": "register", "app": "news", "platform": "apns", "token": "ab" * 32}
    rows = [json.dumps(row | {"user": f"u-{n}", "device": f"d-{n}"}).encode() for n in range(GROUP_LINES + 1)]
    async with gateway() as rig:
        answer = await post(rig, b"\n".join(rows), "/v1/devices/bulk", limits=KeyLimits(1, 1))
    assert (answer.status_code, answer.json()["accepted"]) == (202, GROUP_LINES + 1)
