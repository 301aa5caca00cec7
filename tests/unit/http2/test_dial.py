from __future__ import annotations

import asyncio
import os
import random
import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import trustme

from pushcast.http2.dial import Address, Endpoint, HttpProxy, Resolver, connect, resolve
from pushcast.http2.errors import ConnectionFault
from pushcast.http2.options import PoolOptions
from pushcast.http2.pool import Pool
from pushcast.http2.tls import client_context
from unit.http2.scripted import server_context, serving, until, within
from unit.http2.wire import make_job
from unit.providers.tunnel import tunnel

OPTIONS = PoolOptions(tick_seconds=0.005, backoff_seconds=60.0, backoff_cap_seconds=60.0)
AUTHORITY = trustme.CA()


@pytest.fixture
def ca_file(tmp_path: Path) -> Path:
    AUTHORITY.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return tmp_path / "ca.pem"


async def send(endpoint: Endpoint, count: int = 3, options: PoolOptions = OPTIONS) -> tuple[dict[str, int], list[str]]:
    """Kinds of the outcomes, and reasons of the faults."""
    faults: list[ConnectionFault] = []
    pool = Pool(endpoint, options, on_end=faults.append, rng=random.Random(1))
    try:
        sent = make_job(count, timeout_seconds=asyncio.get_running_loop().time() + 20)
        pool.submit(sent.job)
        await until(lambda: sent.job.unfinished == 0 or bool(faults))
        return (sent.kinds(), [fault.reason for fault in faults])
    finally:
        await within(pool.close())


async def test_tls_with_an_own_authority_and_h2_by_alpn(ca_file: Path) -> None:
    async with serving(tls=server_context(AUTHORITY, alpn=["h2"])) as server:
        endpoint = Endpoint(host="127.0.0.1", port=server.port, tls=client_context(ca_file=ca_file))
        assert await send(endpoint, 2_000) == ({"answered": 2_000}, [])
        assert server.peers[0].transport.get_extra_info("ssl_object").version() in ("TLSv1.2", "TLSv1.3")


async def test_an_unknown_authority_is_refused(ca_file: Path) -> None:
    async with serving(tls=server_context(trustme.CA(), alpn=["h2"])) as server:
        endpoint = Endpoint(host="127.0.0.1", port=server.port, tls=client_context(ca_file=ca_file))
        assert await send(endpoint) == ({}, ["tls_failed"])


async def test_a_certificate_for_another_name_is_refused(ca_file: Path) -> None:
    async with serving(tls=server_context(AUTHORITY, alpn=["h2"])) as server:
        tls = client_context(ca_file=ca_file)
        endpoint = Endpoint(host="127.0.0.1", port=server.port, tls=tls, server_name="other.example")
        assert await send(endpoint) == ({}, ["tls_failed"])


async def test_tls_older_than_1_2_is_refused(ca_file: Path) -> None:
    context = client_context(ca_file=ca_file)
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


async def test_a_server_without_alpn_is_refused_unless_it_is_optional(ca_file: Path) -> None:
    async with serving(tls=server_context(AUTHORITY)) as server:
        tls = client_context(ca_file=ca_file)
        strict = Endpoint(host="127.0.0.1", port=server.port, tls=tls)
        assert await send(strict) == ({}, ["alpn_refused"])
        lenient = Endpoint(host="127.0.0.1", port=server.port, tls=tls, alpn_required=False)
        assert await send(lenient) == ({"answered": 3}, [])


async def test_a_client_certificate_is_shown(tmp_path: Path, ca_file: Path) -> None:
    context = server_context(AUTHORITY, alpn=["h2"])
    context.verify_mode = ssl.CERT_REQUIRED
    AUTHORITY.configure_trust(context)
    issued = AUTHORITY.issue_cert("com.example.news")
    issued.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "client.pem"))
    async with serving(tls=context) as server:
        tls = client_context(ca_file=ca_file, certificate_file=tmp_path / "client.pem")
        assert await send(Endpoint(host="127.0.0.1", port=server.port, tls=tls)) == ({"answered": 3}, [])
        without = Endpoint(host="127.0.0.1", port=server.port, tls=client_context(ca_file=ca_file))
        kinds, faults = await send(without)
        assert "answered" not in kinds
        assert faults[0] in ("tls_failed", "connection_dropped", "connect_failed")


async def test_a_server_that_is_no_http2_server_ends_as_a_typed_fault() -> None:
    async def speak_http1(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        await reader.read()
        writer.close()

    listener = await asyncio.start_server(speak_http1, "127.0.0.1", 0)
    async with listener:
        port = listener.sockets[0].getsockname()[1]
        assert (await send(Endpoint(host="127.0.0.1", port=port)))[1] == ["peer_violation"]


async def test_a_server_that_accepts_and_says_nothing_is_given_up(ca_file: Path) -> None:
    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    listener = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    async with listener:
        endpoint = Endpoint(
            host="127.0.0.1", port=listener.sockets[0].getsockname()[1], tls=client_context(ca_file=ca_file)
        )
        options = PoolOptions(tick_seconds=0.005, connect_timeout_seconds=0.1, backoff_seconds=60.0)
        assert (await send(endpoint, options=options))[1] == ["connect_failed"]


async def test_names_are_resolved_for_each_connection_and_other_addresses_are_tried() -> None:
    asked: list[str] = []
    async with serving() as closed:
        dead = closed.port

    async def resolver(host: str, port: int) -> list[tuple[int, Address]]:
        asked.append(host)
        return [(int(socket.AF_INET), ("127.0.0.1", each)) for each in (port, dead, dead, dead)]

    async with serving() as server:
        pass_on = Endpoint(host="push.example", port=server.port, resolver=resolver)
        for _ in range(2):
            assert await send(pass_on) == ({"answered": 3}, [])
    assert asked == ["push.example"] * 2


async def test_an_address_of_a_family_that_this_kernel_has_not_is_passed_over_for_others() -> None:
    absent = 12_345  # as AF_INET6 is where the kernel has no IPv6

    async with serving() as server:

        async def resolver(host: str, port: int) -> list[tuple[int, Address]]:
            return [(absent, ("::1", port)), (int(socket.AF_INET), ("127.0.0.1", port)), (absent, ("::1", port))]

        assert await send(Endpoint(host="push.example", port=server.port, resolver=resolver)) == ({"answered": 3}, [])

    async def nowhere(host: str, port: int) -> list[tuple[int, Address]]:
        return [(absent, ("::1", port))]

    assert (await send(Endpoint(host="push.example", port=443, resolver=nowhere)))[1] == ["connect_failed"]


async def test_a_name_that_does_not_resolve_is_a_connect_failure() -> None:
    async def resolver(host: str, port: int) -> list[tuple[int, Address]]:
        raise OSError("no such host")

    assert (await send(Endpoint(host="push.example", port=443, resolver=resolver)))[1] == ["connect_failed"]


@pytest.mark.parametrize("host", ["push..example", "x" * 64 + ".example", ".example"])
async def test_a_host_that_can_be_no_name_does_not_resolve(host: str) -> None:
    with pytest.raises(socket.gaierror) as raised:
        await resolve(host, 443)
    assert raised.value.errno == socket.EAI_NONAME
    assert (await send(Endpoint(host=host, port=443)))[1] == ["connect_failed"]


async def test_a_proxy_is_asked_to_connect(ca_file: Path) -> None:
    async with tunnel() as (proxied, port), serving(tls=server_context(AUTHORITY, alpn=["h2"])) as server:
        proxy = HttpProxy("127.0.0.1", port, "user:secret")
        endpoint = Endpoint(host="127.0.0.1", port=server.port, tls=client_context(ca_file=ca_file), proxy=proxy)
        assert await send(endpoint) == ({"answered": 3}, [])
    assert proxied.asked[0].startswith(b"CONNECT 127.0.0.1:%d HTTP/1.1\r\n" % server.port)
    assert b"Proxy-Authorization: Basic dXNlcjpzZWNyZXQ=\r\n" in proxied.asked[0]
    assert "secret" not in repr(endpoint)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n",
        b"SSH-2.0-x\r\n\r\n",
        b"x" * 9_000,
        b"HTTP/1.1 100 C\r\n\r\n" * 600,
    ],
)
async def test_a_proxy_that_refuses_is_a_typed_fault(answer: bytes) -> None:
    async with tunnel(answer) as (_, port):
        proxy = HttpProxy("127.0.0.1", port)
        assert (await send(Endpoint(host="127.0.0.1", port=9, proxy=proxy)))[1] == ["proxy_refused"]


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 103 Early\r\nA: b\r\n\r\n" * 3 + b"HTTP/1.0 200 x\r\n\r\n",
        b"HTTP/1.1 204 200\r\n\r\n",
    ],
)
async def test_interim_answers_of_a_proxy_are_passed_over_and_any_success_opens_the_tunnel(answer: bytes) -> None:
    async with tunnel(answer) as (_, port), serving() as server:
        endpoint = Endpoint(host="127.0.0.1", port=server.port, proxy=HttpProxy("127.0.0.1", port))
        assert await send(endpoint) == ({"answered": 3}, [])


@contextmanager
def swallowing() -> Iterator[int]:
    """A port whose queue is full: the kernel throws SYNs away, as a network without a route does."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


def ports(*them: int) -> Resolver:
    """Four addresses; the random numbers of `send` have the second one tried last."""

    async def resolver(host: str, port: int) -> list[tuple[int, Address]]:
        return [(int(socket.AF_INET), ("127.0.0.1", each)) for each in them]

    return resolver


async def test_addresses_that_swallow_packets_do_not_use_up_the_time_of_the_others() -> None:
    patient = PoolOptions(tick_seconds=0.005, connect_timeout_seconds=5.0, backoff_seconds=60.0)
    with swallowing() as lost:
        async with serving() as server:
            endpoint = Endpoint(host="push.example", port=443, resolver=ports(lost, server.port, lost, lost))
            assert await send(endpoint, options=patient) == ({"answered": 3}, [])


async def test_addresses_of_a_proxy_that_swallow_packets_do_not_use_up_the_time_of_the_others() -> None:
    patient = PoolOptions(tick_seconds=0.005, connect_timeout_seconds=5.0, backoff_seconds=60.0)
    with swallowing() as lost:
        async with tunnel() as (_, port), serving() as server:
            endpoint = Endpoint(
                host="127.0.0.1",
                port=server.port,
                proxy=HttpProxy("proxy.example", 3128),
                resolver=ports(lost, port, lost, lost),
            )
            assert await send(endpoint, options=patient) == ({"answered": 3}, [])


async def test_where_tls_fails_another_address_is_tried(ca_file: Path) -> None:
    async with (
        serving(tls=server_context(trustme.CA(), alpn=["h2"])) as foreign,
        serving(tls=server_context(AUTHORITY, alpn=["h2"])) as server,
    ):
        resolver = ports(foreign.port, server.port, foreign.port, foreign.port)
        tls = client_context(ca_file=ca_file)
        endpoint = Endpoint(host="push.example", port=443, tls=tls, server_name="127.0.0.1", resolver=resolver)
        assert await send(endpoint) == ({"answered": 3}, [])


async def test_who_refuses_at_every_address_that_can_be_reached_has_refused() -> None:
    """Web Push gives up hosts by it: an address that this machine has no way to says nothing about the host."""
    async with serving() as closed:
        dead = closed.port
    refusing = [(int(socket.AF_INET), (address, dead)) for address in ("127.0.0.1", "127.0.0.2")]
    absent = (12_345, ("::1", dead))  # as AF_INET6 is where the kernel has no IPv6
    no_way = (int(socket.AF_INET), ("255.255.255.255", 9))  # ENETUNREACH
    for addresses in (refusing[:1], refusing, [absent, *refusing], [no_way, *refusing]):
        with pytest.raises(ConnectionRefusedError):
            await connect(addresses)
    for unheard in ([absent], [no_way], [absent, no_way]):
        with pytest.raises(OSError) as raised:
            await connect(unheard)
        assert not isinstance(raised.value, ConnectionRefusedError)


async def test_nothing_stays_open_of_addresses_that_lost() -> None:
    before = len(os.listdir("/dev/fd"))
    with swallowing() as lost:
        async with serving() as server:
            reached, used = await connect([(int(socket.AF_INET), ("127.0.0.1", each)) for each in (lost, server.port)])
            assert used[1] == ("127.0.0.1", server.port)
            reached.close()
    await until(lambda: len(os.listdir("/dev/fd")) <= before + 1)


async def test_an_ipv6_address_stands_in_brackets_where_a_proxy_is_asked() -> None:
    async with tunnel(b"HTTP/1.1 403 Forbidden\r\n\r\n") as (proxied, port):
        endpoint = Endpoint(host="2001:db8::1", port=443, proxy=HttpProxy("127.0.0.1", port))
        assert (await send(endpoint))[1] == ["proxy_refused"]
    assert proxied.asked == [b"CONNECT [2001:db8::1]:443 HTTP/1.1\r\nHost: [2001:db8::1]:443\r\n\r\n"]
