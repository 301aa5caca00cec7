"""No request goes to an address of ours, whatever a name resolves to."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator

import httpx
import pytest

from pushcast.webhook.guard import GuardedTransport, is_public, resolve
from pushcast.webhook.post import Poster

OURS = [
    "127.0.0.1",
    "0.0.0.0",
    "10.0.0.1",
    "172.16.3.4",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "192.0.0.170",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::ffff:10.0.0.1",
    "::ffff:8.8.8.8",
    "::10.0.0.1",
    "64:ff9b::a00:1",
    "64:ff9b:1::a00:1",
    "2002:a00:1::",
    "2001:0:a00:1::",
    "fe80::1",
    "fe80::1%lo",
    "fd00:ec2::254",
    "fc00::1",
    "ff02::1",
    "2001:db8::1",
    "crm.example",
    "",
]


@pytest.mark.parametrize("address", OURS)
def test_w3_an_address_that_is_not_public_or_hides_another_is_refused(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"])
def test_a_public_address_is_not(address: str) -> None:
    assert is_public(address)


class Inner(httpx.AsyncBaseTransport):
    """Remembers where it was to connect."""

    def __init__(self) -> None:
        self.requests: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return httpx.Response(204, stream=httpx.ByteStream(b""))


async def test_the_address_that_was_checked_is_connected_to_under_the_name() -> None:
    answers = [["93.184.215.14"], ["127.0.0.1"]]

    async def rebinding(host: str, port: int) -> list[str]:
        return answers.pop(0)

    inner = Inner()
    poster = Poster("https://crm.example:8443/push?x=1", GuardedTransport(inner, resolve=rebinding), 5.0)
    first = await poster.post("crm_1_1_1", b"{}", [b"s" * 32], 1.0)
    second = await poster.post("crm_1_2_2", b"{}", [b"s" * 32], 1.0)
    await poster.close()
    (request,) = inner.requests
    assert (first.result, second.result) == ("ok", "blocked_address")
    assert str(request.url) == "https://93.184.215.14:8443/push?x=1"
    assert (request.headers["Host"], request.extensions["sni_hostname"]) == ("crm.example:8443", "crm.example")


async def test_one_address_of_ours_among_public_ones_is_refused() -> None:
    async def mixed(host: str, port: int) -> list[str]:
        return ["93.184.215.14", "10.0.0.1"]

    inner = Inner()
    poster = Poster("https://crm.example/push", GuardedTransport(inner, resolve=mixed), 5.0)
    assert (await poster.post("crm_1_1_1", b"{}", [b"s" * 32], 1.0)).result == "blocked_address"
    assert inner.requests == []
    await poster.close()


class Reaching(Inner):
    """Connects to one address only."""

    def __init__(self, reached: str) -> None:
        super().__init__()
        self.reached = reached
        self.tried: list[tuple[str, float]] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.tried.append((request.url.host, request.extensions["timeout"]["connect"]))
        if request.url.host != self.reached:
            raise httpx.ConnectTimeout("no route")
        return await super().handle_async_request(request)


@pytest.mark.parametrize("lost", ["2606:2800:21f:cb07:6820:80da:af6b:8b2c", "93.184.215.15"])
async def test_an_address_that_cannot_be_reached_is_passed_over_for_the_others(lost: str) -> None:
    async def several(host: str, port: int) -> list[str]:
        return [lost, "93.184.215.14", "93.184.215.16"]

    inner = Reaching("93.184.215.14")
    poster = Poster("https://crm.example/push", GuardedTransport(inner, resolve=several), 30.0)
    said = [(await poster.post("crm_1_1_1", b"{}", [b"s" * 32], 1.0)).result for _ in range(2)]
    inner.reached = "none"
    said.append((await poster.post("crm_1_1_1", b"{}", [b"s" * 32], 1.0)).result)
    await poster.close()
    assert said == ["ok", "ok", "timeout"]
    # The one that was reached comes first the next time; only the last one has all the time there is.
    assert inner.tried[:3] == [(lost, 2.0), ("93.184.215.14", 2.0), ("93.184.215.14", 2.0)]
    assert inner.tried[3:] == [("93.184.215.14", 2.0), (lost, 2.0), ("93.184.215.16", 30.0)]


@pytest.fixture
async def listener() -> AsyncIterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0x7f000001", "2130706433", "127.1"])
async def test_w3_no_connection_is_tried_to_loopback_however_it_is_written(host: str, listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    poster = Poster(f"https://{host}:{port}/", GuardedTransport(httpx.AsyncHTTPTransport(trust_env=False)), 5.0)
    said = await poster.post("crm_1_1_1", b"{}", [b"s" * 32], 1.0)
    await poster.close()
    assert said.result in ("blocked_address", "connection")  # or the resolver does not know it
    with pytest.raises(BlockingIOError):
        listener.accept()


async def test_the_systems_resolver_is_asked() -> None:
    assert "127.0.0.1" in await resolve("127.0.0.1", 443)
