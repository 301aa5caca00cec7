"""Requests that go the quick way: answered as those of the usual way, one after the other, and none is lost."""

from __future__ import annotations

import asyncio
import gc
import json
import weakref
from collections.abc import Mapping
from typing import Any

import pytest

from pushcast.gateway.access import Caller
from pushcast.gateway.http import Answer, PendingAnswer, Request, head_of
from pushcast.gateway.notifications import Notifications
from pushcast.gateway.quick import Quick
from pushcast.gateway.reading import MAX_BYTES_IN_MEMORY
from pushcast.stream.ports import Written
from twins.gateway import Rig, gateway

NOTE = {"id": "n-1", "user": "u-1", "title": "Goal!"}


def post(key: str, body: bytes, *more: str, target: str = "/v1/notifications", version: str = "1.1") -> bytes:
    lines = [f"POST {target} HTTP/{version}", "Host: h", f"Authorization: Bearer {key}", *more]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


def note(number: int) -> bytes:
    return json.dumps(NOTE | {"id": f"n-{number}"}).encode()


async def read_answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], Any]:
    head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)).decode()
    status, *lines = head.strip().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    body = await reader.readexactly(int(headers["content-length"]))
    return int(status.split()[1]), headers, json.loads(body)


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether each request went the quick way."""
    found: list[bool] = []
    plain = Quick.__call__

    def call(self: Quick, *asked: Any) -> bool:
        found.append(plain(self, *asked))
        return found[-1]

    monkeypatch.setattr(Quick, "__call__", call)
    return found


async def ask(rig: Rig, *parts: bytes) -> tuple[int, dict[str, str], Any]:
    reader, writer = await asyncio.open_connection("127.0.0.1", rig.server.port)
    for part in parts:
        writer.write(part)
        await writer.drain()
        await asyncio.sleep(0.02)
    answer = await read_answer(reader)
    writer.close()
    return answer


@pytest.mark.parametrize(
    ("body", "status"), [(note(1), 202), (b'{"usr":"u"}', 422), (b"{", 400), (b'{"id":"n-1","user":"device:1"}', 422)]
)
async def test_both_ways_answer_alike(body: bytes, status: int, taken: list[bool]) -> None:
    async with gateway() as rig:
        key = rig.key()
        quick = await ask(rig, post(key, body))
    async with gateway() as rig:
        key = rig.key()
        request = post(key, body)
        usual = await ask(rig, request[:-1], request[-1:])
    assert (taken, quick[0], usual[0]) == ([True], status, status)
    for _, headers, said in (quick, usual):
        for volatile in ("date", "server"):
            headers.pop(volatile, None)
        said.pop("instance", None)
    assert quick == usual


@pytest.mark.parametrize(
    "request_of",
    [
        lambda key: post(key, note(1), target="/v1/notifications?x=1"),
        lambda key: post(key, note(1), "Connection: close"),
        lambda key: post(key, note(1), version="1.0"),
        lambda key: post(key, note(1), "Content-Encoding: gzip"),
        lambda key: post(key, b" " * 70_000),
    ],
    ids=["query", "close", "http/1.0", "coding", "too large"],
)
async def test_what_is_not_plain_goes_the_usual_way(request_of: Any, taken: list[bool]) -> None:
    async with gateway() as rig:
        await ask(rig, request_of(rig.key()))
    assert True not in taken


async def test_pipelined_requests_are_answered_in_their_order(taken: list[bool]) -> None:
    async with gateway() as rig:
        key = rig.key()
        rig.producer.confirms = False
        reader, writer = await asyncio.open_connection("127.0.0.1", rig.server.port)
        writer.write(post(key, note(1)) + b"GET /v1/health HTTP/1.1\r\nHost: h\r\n\r\n" + post(key, note(2)))
        await asyncio.sleep(0.05)
        assert len(rig.producer.waiting) == 1
        rig.producer.confirms = True
        rig.producer.waiting[0].set_result(Written("t", 0, 1))
        first, second, third = [await read_answer(reader) for _ in range(3)]
        writer.close()
    assert (first[2]["id"], second[0], third[2]["id"]) == ("n-1", 200, "n-2")
    assert taken == [True, False]  # what waits behind the usual way goes it, too


async def test_g21_what_is_on_the_quick_way_is_answered_before_the_server_ends() -> None:
    async with gateway() as rig:
        key = rig.key()
        rig.producer.confirms = False
        reader, writer = await asyncio.open_connection("127.0.0.1", rig.server.port)
        writer.write(post(key, note(1)))
        await asyncio.sleep(0.05)
        closing = asyncio.create_task(rig.server.close())
        await asyncio.sleep(0.05)
        assert not closing.done()
        rig.producer.waiting[0].set_result(Written("t", 0, 1))
        status, headers, _ = await read_answer(reader)
        assert await asyncio.wait_for(reader.read(), 5) == b""
        await closing
        writer.close()
    assert (status, headers["connection"]) == (202, "close")


async def test_a_client_that_has_gone_costs_nothing_but_its_record() -> None:
    async with gateway() as rig:
        rig.producer.confirms = False
        _, writer = await asyncio.open_connection("127.0.0.1", rig.server.port)
        writer.write(post(rig.key(), note(1)))
        await asyncio.sleep(0.05)
        writer.close()
        await asyncio.sleep(0.05)
        rig.producer.waiting[0].set_result(Written("t", 0, 1))
        await asyncio.sleep(0.01)
        assert rig.observed == [("send", 202)]
        assert rig.server.bodies.held_bytes == 0


async def test_what_kafka_does_not_confirm_in_time_ends_once() -> None:
    async with gateway(ack_seconds=0.05) as rig:
        rig.producer.confirms = False
        status, _, said = await ask(rig, post(rig.key(), note(1)))
        rig.producer.waiting[0].set_result(Written("t", 0, 1))
        await asyncio.sleep(0.01)
        assert rig.observed == [("send", 503)]
    assert (status, said["type"]) == (503, "/problems/ack_timeout")


async def test_a_body_too_many_is_refused_on_the_quick_way_too(taken: list[bool]) -> None:
    """Issue 15, attacks: bodies are bounded in all, whichever way they come."""
    async with gateway() as rig:
        rig.server.bodies.hold(MAX_BYTES_IN_MEMORY)
        status, headers, said = await ask(rig, post(rig.key(), note(1)))
        rig.server.bodies.release(MAX_BYTES_IN_MEMORY)
        assert (rig.server.bodies.held_bytes, rig.producer.puts) == (0, [])
    assert (taken, status, said["type"], headers["retry-after"]) == ([True], 503, "/problems/overloaded", "1")


async def test_an_idle_connection_is_not_timed_after_a_quick_answer() -> None:
    async with gateway(request_seconds=0.1) as rig:
        key = rig.key()
        reader, writer = await asyncio.open_connection("127.0.0.1", rig.server.port)
        for number in (1, 2):
            writer.write(post(key, note(number)))
            assert (await read_answer(reader))[0] == 202
            await asyncio.sleep(0.2)
        writer.close()


@pytest.mark.parametrize("headers", [{"X": "a\r\nSet-Cookie: b"}, {"X": "a\nb"}, {"X\r": "a"}])
def test_g25_a_header_of_an_answer_is_never_two(headers: Mapping[str, str]) -> None:
    with pytest.raises(ValueError, match="line break"):
        head_of(Answer(202, b"", headers), {}, 0.0)


async def test_g25_the_location_of_a_report_quotes_what_the_client_chose() -> None:
    async with gateway() as rig, rig.client(rig.key()) as client:
        answer = await client.post("/v1/notifications", json=NOTE | {"id": "a/b?c\r\n", "user": "u&x=é"})
    assert answer.headers["Location"] == "/v1/reports/a%2Fb%3Fc%0D%0A?user=u%26x%3D%C3%A9"


async def test_an_answered_post_leaves_nothing_for_the_collector_of_cycles(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = Notifications.begin
    ends: list[weakref.ref[Any]] = []

    def begin(self: Notifications, request: Request, caller: Caller) -> PendingAnswer:
        pending = plain(self, request, caller)
        ends.append(weakref.ref(pending.end))
        return pending

    monkeypatch.setattr(Notifications, "begin", begin)
    async with gateway() as rig:
        key = rig.key()
        gc.disable()
        try:
            assert (await ask(rig, post(key, note(1))))[0] == 202
            assert [end() for end in ends] == [None]
        finally:
            gc.enable()
