"""aiohttp's connections with bounds that it does not have: in number, and in how slowly a request may come.

Subclasses aiohttp's `RequestHandler` and `Server`; `tests/contract/test_aiohttp_private_names.py` holds the names.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any, Final, cast

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from pushcast.gateway.problems import CONTENT_TYPE, Problem, encoded

MAX_CONNECTIONS: Final = 2048
MAX_CONNECTIONS_PER_ADDRESS: Final = 256
KEEP_ALIVE_SECONDS: Final = 30.0
MAX_HEAD_BYTES: Final = 8190
STOP_SECONDS: Final = 15.0


class ConnectionBounds:
    """How many connections are open, in all and by address, and how many were closed unheard."""

    def __init__(self, most: int = MAX_CONNECTIONS, most_per_address: int = MAX_CONNECTIONS_PER_ADDRESS) -> None:
        self._most = most
        self._most_per_address = most_per_address
        self._open: Counter[str] = Counter()
        self.refused = 0

    def change(self, most: int, most_per_address: int) -> None:
        """From the next connection on; those that are open stay."""
        self._most, self._most_per_address = most, most_per_address

    def enter(self, address: str) -> bool:
        """False: one too many."""
        if self._open.total() >= self._most or self._open[address] >= self._most_per_address:
            self.refused += 1
            return False
        self._open[address] += 1
        return True

    def leave(self, address: str) -> None:
        """Of one that was let in."""
        self._open[address] -= 1
        if not self._open[address]:
            del self._open[address]


class GatewayConnection(RequestHandler):
    """The head of each request must have come within `head_seconds` of the connection or of its first byte."""

    __slots__ = ("_address", "_bounds", "_head_seconds", "_head_timer")

    def __init__(
        self, manager: BoundedServer, *, bounds: ConnectionBounds, head_seconds: float, **settings: Any
    ) -> None:
        super().__init__(manager, **settings)
        self._bounds = bounds
        self._head_seconds = head_seconds
        self._head_timer: asyncio.TimerHandle | None = None
        self._address: str | None = None  # once counted

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Refuses one too many without a word: an answer would cost what the bound saves."""
        super().connection_made(transport)
        address = address_of(transport)
        if not self._bounds.enter(address):
            cast(asyncio.Transport, transport).abort()
            return
        self._address = address
        self._await_head()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Gives its place back."""
        self._forget_head()
        if self._address is not None:
            self._bounds.leave(self._address)
            self._address = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """The time for a head begins with its first byte, and ends with its last."""
        if self._head_timer is None and not self._request_in_progress:
            self._await_head()
        super().data_received(data)
        if self._messages or self._request_in_progress or self._current_request is not None:
            self._forget_head()

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """What aiohttp cannot read as a request, as a problem."""
        if status >= 500:
            super().handle_error(request, status, exc, message)  # logs it
        name = "bad_request" if status < 500 else "internal_error"
        detail = "the request is not HTTP/1.1 as RFC 9112 has it, or its head is too large"
        response = web.Response(status=status, body=encoded(Problem(name, detail)), content_type=CONTENT_TYPE)
        response.force_close()
        return response

    def _await_head(self) -> None:
        self._head_timer = asyncio.get_running_loop().call_later(self._head_seconds, self._too_slow)

    def _forget_head(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _too_slow(self) -> None:
        self._head_timer = None
        transport = self.transport
        if transport is None:
            return
        body = encoded(Problem("request_timeout", f"the head of a request must come within {self._head_seconds:.0f} s"))
        transport.write(
            b"HTTP/1.1 408 Request Timeout\r\ncontent-type: application/problem+json\r\nconnection: close\r\n"
            b"content-length: %d\r\n\r\n%b" % (len(body), body)
        )
        self.force_close()


class BoundedServer(web.Server):
    """Makes connections of the bounded kind."""

    def __init__(self, handler: Any, *, bounds: ConnectionBounds, head_seconds: float, **settings: Any) -> None:
        super().__init__(handler, **settings)
        self._bounds = bounds
        self._head_seconds = head_seconds

    def __call__(self) -> RequestHandler:
        return GatewayConnection(
            self, bounds=self._bounds, head_seconds=self._head_seconds, loop=self._loop, **self._kwargs
        )


class BoundedRunner(web.AppRunner):
    """An AppRunner whose connections are bounded."""

    def __init__(self, app: web.Application, bounds: ConnectionBounds, head_seconds: float) -> None:
        super().__init__(app, access_log=None, shutdown_timeout=STOP_SECONDS)
        self._bounds = bounds
        self._head_seconds = head_seconds

    async def _make_server(self) -> web.Server:
        plain = await super()._make_server()
        return BoundedServer(
            plain.request_handler,
            request_factory=plain.request_factory,
            bounds=self._bounds,
            head_seconds=self._head_seconds,
            access_log=None,
            keepalive_timeout=KEEP_ALIVE_SECONDS,
            max_line_size=MAX_HEAD_BYTES,
            max_field_size=MAX_HEAD_BYTES,
            max_headers=64,
            lingering_time=1.0,
        )


def address_of(transport: asyncio.BaseTransport | None) -> str:
    """The client's IP address; empty where there is none."""
    peer = None if transport is None else transport.get_extra_info("peername")
    return str(peer[0]) if isinstance(peer, tuple) else ""
