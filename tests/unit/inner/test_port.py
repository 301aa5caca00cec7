"""An inner port answers whoever shows its token, and the client tells what came back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from pushcast.inner import port as port_module
from pushcast.inner.client import InnerAnswer, InnerClient
from pushcast.inner.port import InnerPort


async def echo(request: web.Request) -> web.Response:
    return web.Response(body=await request.read() or request.query.get("say", "").encode())


async def refuse(_: web.Request) -> web.Response:
    return web.Response(status=404, text="nothing")


@asynccontextmanager
async def listening(
    token: str | None, asked_with: str | None, max_bytes: int = 100
) -> AsyncIterator[tuple[str, InnerClient]]:
    port = InnerPort(token, {("GET", "/echo"): echo, ("POST", "/echo"): echo, ("GET", "/none"): refuse}, max_bytes)
    client = InnerClient(asked_with)
    await port.start("127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{port.port}", client
    finally:
        await client.close()
        await port.close()


@pytest.mark.parametrize(
    ("token", "asked_with", "status"),
    [(None, None, 200), (None, "x", 200), ("x", "x", 200), ("x", None, 401), ("x", "y", 401)],
)
async def test_a_port_with_a_token_answers_nobody_else(token: str | None, asked_with: str | None, status: int) -> None:
    async with listening(token, asked_with) as (url, client):
        assert (await client.get(url + "/echo", {"say": "a b"})).status == status
        assert (await client.post(url + "/echo", b"a b")).status == status


async def test_an_answer_has_its_content_and_another_status_than_200_is_none() -> None:
    async with listening(None, None) as (url, client):
        assert await client.get(url + "/echo", {"say": "a b"}) == InnerAnswer(200, b"a b")
        assert (await client.post(url + "/echo", b"\0")).found() == b"\0"
        with pytest.raises(OSError, match="HTTP 404"):
            (await client.get(url + "/none")).found()
        assert (await client.post(url + "/echo", bytes(101))).status == 413


async def test_a_token_that_is_no_text_is_a_wrong_one() -> None:
    async with listening("x", None) as (url, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        writer.write(b"GET /echo HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer \xff\r\n\r\n")
        assert (await reader.readline()).split()[1] == b"401"
        writer.close()


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://[", "nowhere"])
async def test_no_answer_is_an_oserror(url: str) -> None:
    client = InnerClient(seconds=2)
    with pytest.raises(OSError, match=r"\w+"):
        await client.get(url)
    await client.close()


async def test_a_request_that_comes_half_does_not_hold_a_port_that_closes(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was waited for a minute: a supervisor kills after half of it, and a reporter had not closed its stores."""
    monkeypatch.setattr(port_module, "STOP_SECONDS", 0.1)
    arrived = asyncio.Event()

    async def read(request: web.Request) -> web.Response:
        arrived.set()
        return await echo(request)

    port = InnerPort(None, {("POST", "/echo"): read})
    await port.start("127.0.0.1", 0)
    _, writer = await asyncio.open_connection("127.0.0.1", port.port)
    writer.write(b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nhalf")
    async with asyncio.timeout(20):
        await arrived.wait()
        await port.close()
    writer.close()
