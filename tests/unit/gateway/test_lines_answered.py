"""Answers of lines (NDJSON): told while the body still comes. doors.md, A1 "Limits" (streamed in and out)."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest

from pushcast.gateway.bulk import Bulk
from pushcast.gateway.reading import GROUP_LINES, MAX_LINES
from pushcast.wire.control.api_keys import KeyLimits
from twins.gateway import Rig, gateway
from unit.gateway.test_lines import BULK, lines_of, lines_while_kafka_goes, until

NDJSON = "application/x-ndjson"
ASKED = {"Content-Type": NDJSON, "Accept": NDJSON}


def lines_in(content: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in content.splitlines()]


async def post(rig: Rig, body: bytes | AsyncIterator[bytes], path: str = BULK, **headers: str) -> Any:
    async with rig.client(rig.key(limits=KeyLimits(100, 10 * MAX_LINES))) as client:
        return await client.post(path, content=body, headers=ASKED | headers)


class Talk:
    """A request whose body is sent, and whose answer is read, bit by bit."""

    def __init__(self, rig: Rig, key: str) -> None:
        self.rig = rig
        self.key = key

    async def begin(self, announced_bytes: int, read_buffer_bytes: int | None = None) -> None:
        place = socket.socket()
        if read_buffer_bytes is not None:
            place.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, read_buffer_bytes)
        place.setblocking(False)
        await asyncio.get_running_loop().sock_connect(place, ("127.0.0.1", self.rig.server.port))
        self.reader, self.writer = await asyncio.open_connection(sock=place, limit=1024)
        head = f"POST {BULK} HTTP/1.1", "Host: h", f"Authorization: Bearer {self.key}", f"Content-Type: {NDJSON}"
        lines = *head, f"Accept: {NDJSON}", f"Content-Length: {announced_bytes}", "", ""
        self.writer.write("\r\n".join(lines).encode())

    async def head(self) -> bytes:
        return await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 5)

    async def part(self) -> bytes:
        """One chunk of the answer; empty: it has ended."""
        size = int(await asyncio.wait_for(self.reader.readuntil(b"\r\n"), 5), 16)
        return (await asyncio.wait_for(self.reader.readexactly(size + 2), 5))[:-2]


async def test_what_became_of_a_group_is_told_before_the_next_one_comes() -> None:
    first, second = lines_of(range(GROUP_LINES - 1)) + b"{\n", lines_of(range(GROUP_LINES, GROUP_LINES + 2))
    async with gateway() as rig:
        talk = Talk(rig, rig.key())
        await talk.begin(len(first + second))
        talk.writer.write(first)
        head, told = await talk.head(), lines_in(await talk.part())
        talk.writer.write(second)
        rest = lines_in(await talk.part()) + lines_in(await talk.part())
        assert await talk.part() == b""
        talk.writer.close()
        assert rig.server.bodies.held_bytes == 0
    assert head.startswith(b"HTTP/1.1 207 ")
    assert b"content-type: application/x-ndjson" in head.lower()
    assert b"ratelimit:" in head.lower()
    (refused, sums) = told
    assert (refused["index"], refused["status"]) == (GROUP_LINES - 1, 400)
    assert sums == {"taken": GROUP_LINES, "accepted": GROUP_LINES - 1, "rejected": 1, "unknown": 0}
    assert rest[-1] == {
        "taken": GROUP_LINES + 2,
        "accepted": GROUP_LINES + 1,
        "rejected": 1,
        "unknown": 0,
        "status": 207,
    }
    assert rig.observed == [("send_bulk", 207)]


async def test_lines_say_the_same_as_the_answer_in_one_piece() -> None:
    body = lines_of(range(GROUP_LINES + 5)) + b"\r\n{\n" + lines_of([9000], options={"badge": "x"}) + lines_of([9001])
    async with gateway() as rig:
        streamed = lines_in((await post(rig, body)).content)
    async with gateway() as rig:
        whole = (await post(rig, body, Accept="application/json")).json()
    *told, last = [each for each in streamed if "index" in each or "status" in each]
    assert told == whole.pop("results")
    assert {name: last[name] for name in whole} == whole
    assert (last["taken"], last["status"]) == (GROUP_LINES + 8, 207)


@pytest.mark.parametrize("body", [b"", b"\n \r\n", lines_of(range(3))])
async def test_when_all_is_well_the_last_line_says_202(body: bytes) -> None:
    async with gateway() as rig:
        answer = await post(rig, body)
    last = lines_in(answer.content)[-1]
    assert (answer.status_code, last["status"], last["accepted"]) == (207, 202, len(rig.producer.puts))


async def test_kafka_that_goes_away_between_groups_makes_the_last_line_say_503() -> None:
    async with gateway() as rig:
        last = lines_in((await post(rig, lines_while_kafka_goes(rig))).content)[-1]
    assert (last["status"], last["accepted"], last["unknown"]) == (503, GROUP_LINES, 3)


async def test_without_room_for_the_first_group_the_answer_is_a_problem() -> None:
    async with gateway() as rig, rig.client(rig.key(limits=KeyLimits(1, GROUP_LINES - 1))) as client:
        answer = await client.post(BULK, content=lines_of(range(GROUP_LINES)), headers=ASKED)
    assert (answer.status_code, answer.headers["content-type"]) == (429, "application/problem+json")
    assert rig.producer.puts == []


async def test_a_body_that_stops_coming_is_told_in_place_of_the_next_line() -> None:
    body = lines_of(range(GROUP_LINES))
    async with gateway(request_seconds=0.3) as rig:
        talk = Talk(rig, rig.key())
        await talk.begin(len(body) + 50)
        talk.writer.write(body + b'{"id":')
        await talk.head()
        parts = [await talk.part(), await talk.part(), await talk.part()]
        assert (parts[2], await talk.reader.read()) == (b"", b""), "the connection has ended"
        talk.writer.close()
        assert rig.server.bodies.held_bytes == 0
    refused, last = lines_in(parts[1])
    assert (refused["index"], refused["status"], last["status"]) == (GROUP_LINES, 408, 207)


async def test_a_client_that_does_not_read_its_answer_is_not_read_either_and_then_cut_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken: list[int] = []
    checked = Bulk.checked

    def counted(bulk: Bulk, raws: Any) -> Any:
        taken.append(len(raws))
        return checked(bulk, raws)

    monkeypatch.setattr(Bulk, "checked", counted)
    refused = b'{"title":"' + b"x" * 100 + b'"}\n'  # whose problem is longer than itself
    async with gateway(request_seconds=0.5) as rig:
        runner: Any = rig.server._runner
        for each in runner.sites:
            (listening,) = each._server.sockets
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        talk = Talk(rig, rig.key())
        await talk.begin(len(refused) * MAX_LINES, read_buffer_bytes=4096)
        talk.writer.write(refused * MAX_LINES)
        await until(lambda: rig.observed)
        assert rig.server.bodies.held_bytes == 0
        talk.writer.transport.abort()
    assert rig.observed == [("send_bulk", 408)]
    assert sum(taken) <= 3 * GROUP_LINES, "what nobody reads fills the buffers, and then no more lines are taken"


async def test_a_client_that_goes_is_no_fault_of_ours(caplog: pytest.LogCaptureFixture) -> None:
    body = lines_of(range(GROUP_LINES))
    async with gateway() as rig:
        talk = Talk(rig, rig.key())
        await talk.begin(len(body) + 50)
        talk.writer.write(body)
        await talk.head()
        talk.writer.transport.abort()
        await until(lambda: rig.observed)
        assert rig.server.bodies.held_bytes == 0
    assert [each for each in caplog.records if each.exc_info] == []
    assert len(rig.producer.puts) == GROUP_LINES


async def test_a_fault_of_ours_behind_the_first_group_ends_the_connection_without_a_last_line(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    take = Bulk.take

    async def take_once(bulk: Bulk, raws: Any) -> None:
        if bulk.count:
            raise RuntimeError("broken")
        await take(bulk, raws)

    monkeypatch.setattr(Bulk, "take", take_once)
    body = lines_of(range(GROUP_LINES + 1))
    async with gateway() as rig:
        talk = Talk(rig, rig.key())
        await talk.begin(len(body))
        talk.writer.write(body)
        await talk.head()
        sums = lines_in(await talk.part())
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await talk.part()
        talk.writer.close()
        await until(lambda: rig.observed)
    assert "status" not in sums[-1]
    assert rig.observed == [("send_bulk", 500)]
    assert ["not told to its end" in each.message for each in caplog.records if each.exc_info] == [True]


@pytest.mark.parametrize(
    ("path", "kind", "body"),
    [
        (f"{BULK}?atomic=true", NDJSON, lines_of([1])),
        (BULK, "application/json", b'{"notifications":[]}'),
        ("/v1/notifications", "application/json", b'{"user":"u","title":"t"}'),
    ],
)
async def test_what_is_taken_as_a_whole_is_answered_as_a_whole(path: str, kind: str, body: bytes) -> None:
    async with gateway() as rig:
        only_lines = await post(rig, body, path, **{"Content-Type": kind})
        assert rig.producer.puts == []
        both = await post(rig, body, path, **{"Content-Type": kind, "Accept": f"{NDJSON}, application/json"})
    assert only_lines.status_code == 406
    assert (both.status_code, both.headers["content-type"]) == (202, "application/json")


async def test_a_page_of_an_origin_that_is_named_may_read_the_lines() -> None:
    origin = "https://app.example.com"
    async with gateway(options={"gateway": {"cors_origins": [origin]}}) as rig:
        answer = await post(rig, lines_of([1]), Origin=origin)
    assert answer.headers["access-control-allow-origin"] == origin


async def test_devices_are_answered_by_lines_too() -> None:
    row = {"op": "register", "app": "news", "platform": "apns", "token": "ab" * 32, "user": "u", "device": "d"}
    async with gateway() as rig:
        answer = await post(rig, json.dumps(row).encode() + b"\n{}\n", "/v1/devices/bulk")
    refused, sums, last = lines_in(answer.content)
    assert (refused["index"], sums["taken"], last["accepted"], last["status"]) == (1, 2, 1, 207)
