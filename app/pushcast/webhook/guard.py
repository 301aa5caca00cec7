"""Requests that leave the network and nothing else: a name of the configuration that resolves to ours is refused.

The address that was checked is the one that is connected to, so that a name which resolves to another address the next
time changes nothing. SNI and certificate are those of the name.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable
from typing import Final

import httpx

#: A host and port to its addresses; raises OSError.
Resolve = Callable[[str, int], Awaitable[list[str]]]
#: For each address but the last one that is tried: one whose packets get lost must not use up the time of the others.
ADDRESS_SECONDS: Final = 2.0
#: So many addresses of a name are tried.
MOST_ADDRESSES: Final = 4
#: Prefixes whose addresses carry another one inside: whoever translates them may reach what is not global.
_CARRIERS: Final = tuple(
    map(ipaddress.ip_network, ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32", "::/96"))
)


class Blocked(OSError):
    """The name resolves to an address that is not on the public internet. Nothing was sent."""


def is_public(address: str) -> bool:
    """Whether it is an address of the public internet, and hides no other one. Fails closed."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address) and (
        found.ipv4_mapped is not None or any(found in carrier for carrier in _CARRIERS)
    ):
        return False
    return found.is_global and not (found.is_multicast or found.is_reserved or found.is_unspecified)


async def resolve(host: str, port: int) -> list[str]:
    """By the resolver of the system."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(each[4][0]) for each in found]


class GuardedTransport(httpx.AsyncBaseTransport):
    """Connects to public addresses only. Raises Blocked, or OSError of the resolver, before a connection is tried."""

    def __init__(
        self,
        inner: httpx.AsyncBaseTransport,
        *,
        resolve: Resolve = resolve,
        allowed: Callable[[str], bool] = is_public,
    ) -> None:
        self._inner = inner
        self._resolve = resolve
        self._allowed = allowed
        self._reached = ""  # the address that was connected to last

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        host, port = request.url.host, request.url.port or 443
        addresses = await self._resolve(host, port)
        # One that is not public among several is an attempt, or a mistake: none of them is connected to.
        if not addresses or not all(map(self._allowed, addresses)):
            raise Blocked("blocked_address")
        request.extensions = {**request.extensions, "sni_hostname": host}
        # That one first: httpx keeps its connection open.
        some = sorted(dict.fromkeys(addresses), key=lambda address: address != self._reached)[:MOST_ADDRESSES]
        for address in some[:-1]:
            try:
                return await self._to(address, request, ADDRESS_SECONDS)
            except (httpx.ConnectError, httpx.ConnectTimeout):  # nothing was sent
                continue
        return await self._to(some[-1], request, None)

    async def _to(self, address: str, request: httpx.Request, connect_seconds: float | None) -> httpx.Response:
        given = request.extensions
        if connect_seconds is not None:
            request.extensions = {**given, "timeout": {**given.get("timeout", {}), "connect": connect_seconds}}
        request.url = request.url.copy_with(host=address)
        try:
            answer = await self._inner.handle_async_request(request)
        finally:
            request.extensions = given
        self._reached = address
        return answer

    async def aclose(self) -> None:
        await self._inner.aclose()
