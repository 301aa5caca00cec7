"""Clients that are slow, many or malformed. Numbers are those of the acceptance facts (doors.md, D)."""

from __future__ import annotations

import asyncio

from pushcast.gateway.connections import ConnectionBounds
from twins.gateway import gateway


async def test_g23_a_head_that_comes_too_slowly_ends_with_408() -> None:
    async with gateway(request_seconds=0.2) as rig:
        reader, writer = await asyncio.open_connection("127.0.0.1", rig.server.port)
        writer.write(b"GET /v1/health HTTP/1.1\r\nHost:")
        answer = await asyncio.wait_for(reader.read(), 5)
        writer.close()
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"request_timeout" in answer


async def test_g23_a_connection_that_says_nothing_is_closed() -> None:
    async with gateway(request_seconds=0.2) as rig:
        reader, writer = await asyncio.open_connection("127.0.0.1", rig.server.port)
        answer = await asyncio.wait_for(reader.read(), 5)
        writer.close()
    assert answer.startswith(b"HTTP/1.1 408 ")


async def test_g23_the_second_request_of_a_connection_is_timed_too() -> None:
    async with gateway(request_seconds=0.2) as rig:
        reader, writer = await asyncio.open_connection("127.0.0.1", rig.server.port)
        writer.write(b"GET /v1/health HTTP/1.1\r\nHost: h\r\n\r\n")
        first = await asyncio.wait_for(reader.read(2048), 5)
        writer.write(b"GET /v1/hea")
        second = await asyncio.wait_for(reader.read(), 5)
        writer.close()
    assert first.startswith(b"HTTP/1.1 200 ")
    assert second.startswith(b"HTTP/1.1 408 ")


async def test_g23_a_body_that_comes_too_slowly_ends_with_408() -> None:
    async with gateway(request_seconds=0.2) as rig:
        key = rig.key()
        reader, writer = await asyncio.open_connection("127.0.0.1", rig.server.port)
        head = (
            f"POST /v1/notifications HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {key}\r\nContent-Length: 9\r\n\r\n{{"
        )
        writer.write(head.encode())
        answer = await asyncio.wait_for(reader.read(), 5)
        writer.close()
        assert rig.server.bodies.held_bytes == 0
    assert answer.startswith(b"HTTP/1.1 408 ")


async def test_how_slowly_a_request_may_come_changes_while_the_gateway_runs() -> None:
    async with gateway(request_seconds=60) as rig:
        rig.server.take_within(0.2)
        reader, writer = await asyncio.open_connection("127.0.0.1", rig.server.port)
        head = await asyncio.wait_for(reader.read(), 5)
        writer.close()
        key = rig.key()
        reader, writer = await asyncio.open_connection("127.0.0.1", rig.server.port)
        lines = "POST /v1/notifications HTTP/1.1", "Host: h", f"Authorization: Bearer {key}", "Content-Length: 9"
        writer.write("\r\n".join([*lines, "", ""]).encode())
        body = await asyncio.wait_for(reader.read(), 5)
        writer.close()
    assert (head[:13], body[:13]) == (b"HTTP/1.1 408 ", b"HTTP/1.1 408 ")


async def test_a_line_of_the_head_that_is_too_long_ends_with_431() -> None:
    async with gateway() as rig:
        for head in (f"GET /v1/health HTTP/1.1\r\nX: {'x' * 9000}\r\n\r\n", f"GET /{'x' * 9000} HTTP/1.1\r\n\r\n"):
            reader, writer = await asyncio.open_connection("127.0.0.1", rig.server.port)
            writer.write(head.encode())
            answer = await asyncio.wait_for(reader.read(), 5)
            writer.close()
            assert answer.split(b" ", 2)[1] == b"431", head[:20]
            assert b"/problems/headers_too_large" in answer


async def test_one_connection_too_many_is_closed_unheard() -> None:
    async with gateway(bounds=ConnectionBounds(3, 2)) as rig:
        opened = [await asyncio.open_connection("127.0.0.1", rig.server.port) for _ in range(3)]
        reader, _ = opened[2]
        try:
            heard = await asyncio.wait_for(reader.read(), 5)
        except ConnectionError:
            heard = b""
        assert heard == b""
        assert rig.server.bounds.refused == 1
        opened[0][1].close()
        await opened[0][1].wait_closed()
        async with rig.client() as client:
            assert (await client.get("/v1/health")).status_code == 200
        for _, writer in opened[1:]:
            writer.close()


async def test_smuggled_and_malformed_requests_are_refused_as_problems() -> None:
    post = b"POST /v1/notifications HTTP/1.1\r\nHost: h\r\n"
    heads = [
        post + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        post + b"Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcd",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\nX: " + b"a" * 9000 + b"\r\n\r\n",
    ]
    async with gateway() as rig:
        for head in heads:
            reader, writer = await asyncio.open_connection("127.0.0.1", rig.server.port)
            writer.write(head)
            answer = await asyncio.wait_for(reader.read(8192), 5)
            writer.close()
            assert answer.startswith((b"HTTP/1.1 4", b"HTTP/1.0 4")), (head[:60], answer[:80])
            assert b"application/problem+json" in answer, head[:60]
