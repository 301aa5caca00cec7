"""One try against receivers that misbehave."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import httpx
import pytest

from pushcast.webhook.guard import GuardedTransport
from pushcast.webhook.patience import Said
from pushcast.webhook.post import MAX_ANSWER_BYTES, Poster
from twins.certificates import certificate

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
SECRETS = [b"s" * 32]


async def loopback(host: str, port: int) -> list[str]:
    return ["127.0.0.1"]


@contextlib.asynccontextmanager
async def receiver(answer: Serve, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    serving: set[asyncio.Task[object]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await reader.readuntil(b"\r\n\r\n")
            await answer(reader, writer)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)


async def post(url: str, seconds: float = 5.0, verify: ssl.SSLContext | bool = True) -> Said:
    inner = httpx.AsyncHTTPTransport(trust_env=False, verify=verify)
    poster = Poster(url, GuardedTransport(inner, resolve=loopback, allowed=lambda _: True), seconds)
    try:
        return await poster.post("crm_1_1_1", b"{}", SECRETS, 1_790_000_000.0)
    finally:
        await poster.close()


def says(text: str) -> Serve:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(text.replace("\n", "\r\n").encode())
        await writer.drain()

    return answer


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("HTTP/1.1 204 No Content\n\n", Said("ok")),
        ("HTTP/1.1 200 OK\nContent-Length: 2\n\nok", Said("ok")),
        ("HTTP/1.1 302 Found\nLocation: http://127.0.0.1/\nContent-Length: 0\n\n", Said("http_302")),
        ("HTTP/1.1 410 Gone\nContent-Length: 0\n\n", Said("http_410")),
        ("HTTP/1.1 429 Too Many Requests\nRetry-After: 60\nContent-Length: 0\n\n", Said("http_429", 60.0)),
        (
            "HTTP/1.1 503 Busy\nRetry-After: Mon, 21 Sep 2026 14:13:50 GMT\n\n",
            Said("http_503", 30.0),
        ),
        ("HTTP/1.1 503 Busy\nRetry-After: soon\nContent-Length: 0\n\n", Said("http_503")),
        ("HTTP/1.1 503 Busy\nRetry-After: Mon, 99999999999 Sep 2026 14:13:50 GMT\n\n", Said("http_503")),
        ("nonsense\n\n", Said("connection")),
        ("", Said("connection")),
    ],
)
async def test_w5_what_a_receiver_says_is_known_by_its_status(text: str, said: Said) -> None:
    async with receiver(says(text)) as port:
        assert await post(f"http://crm.example:{port}/") == said


async def test_w5_an_answer_that_drips_ends_at_the_time_out_as_a_whole() -> None:
    async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n")
        for number in range(1000):
            writer.write(b"x-%d: y\r\n" % number)
            await writer.drain()
            await asyncio.sleep(0.05)

    async with receiver(drip) as port:
        assert await post(f"http://crm.example:{port}/", seconds=0.3) == Said("timeout")


async def test_w5_of_an_answer_that_never_ends_a_kibibyte_is_read() -> None:
    async def flood(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n" + b"x" * MAX_ANSWER_BYTES)
        await writer.drain()
        await asyncio.Event().wait()

    async with receiver(flood) as port:
        assert await post(f"http://crm.example:{port}/") == Said("ok")


async def test_nobody_listens() -> None:
    async with receiver(says("")) as port:
        pass
    assert await post(f"http://crm.example:{port}/") == Said("connection")


@pytest.mark.parametrize(("shown", "result"), [("crm.example", "ok"), ("other.example", "connection")])
async def test_the_certificate_must_be_that_of_the_name_and_not_of_the_address(
    shown: str, result: str, tmp_path: Path
) -> None:
    file, server = certificate(shown, tmp_path)
    trusts = ssl.create_default_context(cafile=str(file))
    async with receiver(says("HTTP/1.1 204 No Content\n\n"), server) as port:
        assert (await post(f"https://crm.example:{port}/", verify=trusts)).result == result


class TornBody(httpx.AsyncByteStream):
    """What follows the status of one that did not read our body."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"wo"
        raise httpx.ReadError("connection reset by peer")


@pytest.mark.parametrize(("status", "said"), [(410, "http_410"), (503, "http_503"), (204, "ok")])
async def test_w5_a_status_counts_though_the_connection_is_reset_behind_it(status: int, said: str) -> None:
    """Told as `connection`, an endpoint that is gone was asked again for ever."""
    transport = httpx.MockTransport(lambda _: httpx.Response(status, stream=TornBody()))
    poster = Poster("https://receiver.example/", transport, 5.0)
    try:
        assert (await poster.post("crm_1_1_1", b"{}", SECRETS, 1_790_000_000.0)).result == said
    finally:
        await poster.close()


@pytest.mark.parametrize(
    "url",
    ["https://crm.example/\t", "https://crm.example:99999/", f"https://{'a' * 64}.example/", "https://a..example/"],
)
async def test_a_url_that_nobody_can_ask_for_is_no_connection_and_ends_nothing(url: str) -> None:
    poster = Poster(url, GuardedTransport(httpx.AsyncHTTPTransport(trust_env=False)), 5.0)
    try:
        said = await poster.post("crm_1_1_1", b"{}", SECRETS, 1_790_000_000.0)
    finally:
        await poster.close()
    assert said == Said("connection")
