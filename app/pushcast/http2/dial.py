"""From a host name to a connected transport: fresh DNS, TCP or CONNECT through a proxy, TLS, ALPN."""

from __future__ import annotations

import asyncio
import base64
import errno
import random
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from aiohappyeyeballs import AddrInfoType, start_connection

from pushcast.http2.connection import Connection
from pushcast.http2.errors import AlpnRefused, ConnectFailed, NotConnected, ProxyRefused, TlsFailed

_MAX_PROXY_ANSWER_BYTES = 8_192
# The Connection Attempt Delay that https://www.rfc-editor.org/rfc/rfc8305#section-5 advises.
_NEXT_ADDRESS_SECONDS = 0.25
# What is wrong with this machine's own network and says nothing about whom it was to reach.
_NO_WAY_FROM_HERE = frozenset((errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT))

Address = tuple[Any, ...]
Resolver = Callable[[str, int], Awaitable[Sequence[tuple[int, Address]]]]
"""Host and port to (socket family, socket address) pairs; whoever restricts where we connect supplies one."""


@dataclass(frozen=True, slots=True)
class HttpProxy:
    """An HTTP proxy reached without TLS. `user_and_password` is "user:password" for Basic authentication."""

    host: str
    port: int
    user_and_password: str | None = None

    def __repr__(self) -> str:
        return f"Proxy({self.host}:{self.port})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where a pool connects. `tls` None is HTTP/2 without TLS by prior knowledge (tests, benchmarks).

    `alpn_required`: refuse a server that does not choose h2; otherwise one that chooses nothing will do (APNs).
    """

    host: str
    port: int
    tls: ssl.SSLContext | None = None
    server_name: str | None = None
    alpn_required: bool = True
    proxy: HttpProxy | None = None
    resolver: Resolver | None = None


async def resolve(host: str, port: int) -> Sequence[tuple[int, Address]]:
    """Asks the system resolver, every time. Raises OSError."""
    try:
        answers = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        # Python's codec for names refuses an empty label, and one of more than 63 characters, before anybody is asked.
        raise socket.gaierror(socket.EAI_NONAME, "not a name of a host") from error
    return [(family, address) for family, _, _, _, address in answers]


async def connect(addresses: Sequence[tuple[int, Address]]) -> tuple[socket.socket, tuple[int, Address]]:
    """A TCP connection to the first of these that takes one, and which it was. They are tried in their order, families
    in turn, each 0.25 s after the one before without waiting for its failure (RFC 8305): an address whose packets get
    lost, such as IPv6 without a route, costs no more than that. Raises OSError; waits without bound."""
    which: dict[socket.socket, tuple[int, Address]] = {}
    attempts = _Attempts()

    def make_socket(info: AddrInfoType) -> socket.socket:
        family, kind, protocol, _, address = info
        made = socket.socket(family, kind, protocol)  # OSError: a kernel without IPv6, or no file descriptor is left
        which[made] = (int(family), address)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return made

    try:
        connection_socket = await start_connection(
            [(family, socket.SOCK_STREAM, 0, "", address) for family, address in addresses],
            happy_eyeballs_delay=_NEXT_ADDRESS_SECONDS,
            socket_factory=make_socket,
            loop=cast(asyncio.AbstractEventLoop, attempts),  # asks nothing else of it
        )
    except (OSError, RuntimeError) as error:  # the latter is what uvloop says of some addresses
        raise attempts.refusal() or (error if isinstance(error, OSError) else OSError(str(error))) from error
    return connection_socket, which[connection_socket]


class _Attempts:
    """The running loop, for what connects; with what became of each address. All of them together are one error that
    says of none what it was."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._errors: list[OSError] = []

    async def sock_connect(self, attempt: socket.socket, address: Address) -> None:
        try:
            await self._loop.sock_connect(attempt, address)
        except OSError as error:
            self._errors.append(error)
            raise

    def refusal(self) -> OSError | None:
        """Where every address that this machine has a way to refused the connection: one of these refusals."""
        heard = [error for error in self._errors if error.errno not in _NO_WAY_FROM_HERE]
        if heard and all(isinstance(error, ConnectionRefusedError) for error in heard):
            return heard[0]
        return None


async def dial(endpoint: Endpoint, make: Callable[[], Connection], rng: random.Random) -> Connection:
    """Connects to one of the host's addresses, tried in random order as `connect` tries them; where TLS, or the proxy,
    fails, to another. Raises NotConnected; waits without bound, so give it a time limit."""
    host, port = (
        (endpoint.host, endpoint.port) if endpoint.proxy is None else (endpoint.proxy.host, endpoint.proxy.port)
    )
    try:
        addresses = list(await (endpoint.resolver or resolve)(host, port))
    except OSError as error:
        raise ConnectFailed(f"{host} does not resolve: {error}") from error
    rng.shuffle(addresses)
    problem: NotConnected = ConnectFailed(f"{host} has no address")
    while addresses:
        try:
            connection_socket, used = await connect(addresses)
        except OSError as error:
            raise ConnectFailed(f"{endpoint.host}:{endpoint.port}: {error}") from error
        addresses.remove(used)
        try:
            return await _begin(connection_socket, endpoint, make)
        except NotConnected as fault:
            problem = fault
    raise problem


async def _begin(connection_socket: socket.socket, endpoint: Endpoint, make: Callable[[], Connection]) -> Connection:
    """Through the proxy, if there is one, and into TLS."""
    try:
        if endpoint.proxy is not None:
            try:
                await _open_tunnel(connection_socket, endpoint, endpoint.proxy)
            except OSError as error:
                raise ConnectFailed(f"{endpoint.host}:{endpoint.port}: {error}") from error
        return await _secure(connection_socket, endpoint, make)
    except BaseException:
        connection_socket.close()
        raise


async def _secure(connection_socket: socket.socket, endpoint: Endpoint, make: Callable[[], Connection]) -> Connection:
    loop = asyncio.get_running_loop()
    try:
        if endpoint.tls is None:
            _, connection = await loop.create_connection(make, sock=connection_socket)
            return connection
        transport, connection = await loop.create_connection(
            make,
            sock=connection_socket,
            ssl=endpoint.tls,
            server_hostname=endpoint.server_name or endpoint.host,
            ssl_shutdown_timeout=2.0,
        )
    except (ssl.SSLError, ssl.CertificateError) as error:
        raise TlsFailed(f"{endpoint.host}:{endpoint.port}: {error}") from error
    except OSError as error:
        raise ConnectFailed(f"{endpoint.host}:{endpoint.port}: {error}") from error
    chosen = transport.get_extra_info("ssl_object").selected_alpn_protocol()
    if chosen != "h2" and (chosen is not None or endpoint.alpn_required):
        connection.discard()
        raise AlpnRefused(f"{endpoint.host}:{endpoint.port} chose {chosen or 'no protocol'} instead of h2")
    return connection


async def _open_tunnel(connection_socket: socket.socket, endpoint: Endpoint, proxy: HttpProxy) -> None:
    loop = asyncio.get_running_loop()
    # An IPv6 address stands in brackets (RFC 9112 §3.2.3, RFC 3986 §3.2.2): a port may follow it.
    host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
    target = f"{host}:{endpoint.port}"
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
    if proxy.user_and_password is not None:
        lines.append(f"Proxy-Authorization: Basic {base64.b64encode(proxy.user_and_password.encode()).decode()}")
    await loop.sock_sendall(connection_socket, "\r\n".join([*lines, "", ""]).encode())
    room = _MAX_PROXY_ANSWER_BYTES
    status = b"100"
    while status.startswith(b"1"):  # interim answers may come before the one that counts (RFC 9110 §15.2)
        head = await _answer_head(connection_socket, room, proxy)
        room -= len(head)
        words = head.split(b"\r\n", 1)[0].split(b" ", 2)
        status = words[1] if len(words) > 1 and words[0].startswith(b"HTTP/1.") else b""
    if len(status) != 3 or not status.startswith(b"2"):  # any 2xx opens the tunnel (RFC 9110 §9.3.6)
        shown = status.decode("latin-1")[:3] or "nothing"
        raise ProxyRefused(f"{proxy.host}:{proxy.port} answered CONNECT with {shown}")


async def _answer_head(connection_socket: socket.socket, room_bytes: int, proxy: HttpProxy) -> bytes:
    loop = asyncio.get_running_loop()
    head = b""
    # Byte by byte: what follows the blank line already belongs to TLS, and a plain server may speak first.
    while not head.endswith(b"\r\n\r\n"):
        octet = await loop.sock_recv(connection_socket, 1)
        if not octet or len(head) >= room_bytes:
            raise ProxyRefused(f"{proxy.host}:{proxy.port} did not answer CONNECT with an HTTP response")
        head += octet
    return head
