"""aiohttp's connections with bounds that it does not have: in number, and in how slowly a request may come.

Subclasses aiohttp's `RequestHandler` and `Server`; `tests/contract/test_aiohttp_private_names.py` holds the names.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Final, cast

from aiohttp import StreamReader, web
from aiohttp.http import HttpVersion11, RawRequestMessage
from aiohttp.http_exceptions import LineTooLong
from aiohttp.web_protocol import RequestHandler

from pushcast.gateway.http import Answer, head_of
from pushcast.gateway.problems import CONTENT_TYPE, Problem, encoded

MAX_CONNECTIONS: Final = 2048
MAX_CONNECTIONS_PER_ADDRESS: Final = 256
HEAD_SECONDS: Final = 10.0
KEEP_ALIVE_SECONDS: Final = 30.0
MAX_HEAD_BYTES: Final = 8190
STOP_SECONDS: Final = 15.0


class ConnectionBounds:
    """How many connections are open, in all and by address, and how many were closed unheard. `head_seconds`: in which
    the head of a request must have come; those that are awaited when it changes keep to what it was."""

    def __init__(
        self,
        most: int = MAX_CONNECTIONS,
        most_per_address: int = MAX_CONNECTIONS_PER_ADDRESS,
        head_seconds: float = HEAD_SECONDS,
    ) -> None:
        self.head_seconds = head_seconds
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


#: Writes an answer with more headers; the problem is None when all went well.
Respond = Callable[[Answer, Problem | None, Mapping[str, str]], None]
#: Answers a request that came whole, at once or later; False leaves it to the usual way. With the client's address.
QuickWay = Callable[[RawRequestMessage, StreamReader, str, Respond], bool]


class GatewayConnection(RequestHandler):
    """The head of each request must have come within the seconds of `bounds`, from the connection or its first byte on.

    A request that is there as a whole may go the quick way, one at a time: the next one waits for its answer.
    """

    __slots__ = ("_address", "_answering", "_bounds", "_head_timer", "_last", "_quick")

    def __init__(
        self,
        manager: BoundedServer,
        *,
        bounds: ConnectionBounds,
        quick: QuickWay | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(manager, **settings)
        self._bounds = bounds
        self._head_timer: asyncio.TimerHandle | None = None
        self._address: str | None = None  # once counted
        self._quick = quick
        self._answering = False  # a request is on the quick way
        self._last: asyncio.Future[None] | None = None  # its answer, when the server stops

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
        # The task that takes requests is woken by `_go_on`, unless the quick way has the request.
        waiter, self._waiter = self._waiter, None
        super().data_received(data)
        self._waiter = waiter
        if self._messages or self._answering or self._request_in_progress or self._current_request is not None:
            self._forget_head()
        elif self._head_timer is None:
            self._await_head()
        self._go_on()

    def resume_reading(self, resume_parser: bool = True) -> None:
        """Nothing where nothing is paused: aiohttp would parse and resume anew for each body that is read."""
        if self._reading_paused or self._buffer_paused:
            super().resume_reading(resume_parser)

    async def shutdown(self, timeout: float | None = 15.0) -> None:
        """As aiohttp's, and waits for the answer on the quick way, too."""
        self._close = True
        if self._answering:
            self._last = self._loop.create_future()
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout):
                    await self._last
        await super().shutdown(timeout)

    def _process_keepalive(self) -> None:
        if self._answering:
            self._next_keepalive_close_time = self._loop.time() + KEEP_ALIVE_SECONDS
        super()._process_keepalive()

    def _go_on(self) -> None:
        waiter = self._waiter
        if waiter is None or waiter.done() or self._answering or not self._messages:
            return
        if self._quick is None or not self._takes(self._quick):
            waiter.set_result(None)

    def _takes(self, quick: QuickWay) -> bool:
        message, payload = self._messages[0]
        if (
            not isinstance(message, RawRequestMessage)
            or not payload.is_eof()
            or message.should_close
            or message.version != HttpVersion11
            or self._paused  # the client does not read its answers
            or self._close
        ):
            return False
        first = self._messages.popleft()
        self._answering = True
        if not quick(message, payload, self._address or "", self._respond):
            self._answering = False
            self._messages.appendleft(first)
            return False
        if self._parser is not None:  # the answer may have closed the connection already
            self._parser.message_consumed()
        return True

    def _respond(self, answered: Answer, problem: Problem | None, limits: Mapping[str, str]) -> None:
        self._answering = False
        if self._last is not None and not self._last.done():
            self._last.set_result(None)
        if self.transport is None:
            return  # the client has gone
        closes = self._close or (problem is not None and problem.closes)
        self.transport.write(head_of(answered, limits, time.time(), closes) + answered.body)
        if closes:
            self.force_close()
        elif self._messages:
            self._loop.call_soon(self._go_on)
        self._next_keepalive_close_time = self._loop.time() + KEEP_ALIVE_SECONDS

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """What aiohttp cannot read as a request, as a problem."""
        if status >= 500:
            super().handle_error(request, status, exc, message)  # logs it
        name, detail = "bad_request", "the request is not HTTP/1.1 as RFC 9112 has it"
        if isinstance(exc, LineTooLong):
            name, detail = "headers_too_large", f"a line of the head has more than {MAX_HEAD_BYTES:,} bytes"
        elif status >= 500:
            name, detail = "internal_error", "the gateway's log says why"
        problem = Problem(name, detail)
        response = web.Response(status=problem.status, body=encoded(problem), content_type=CONTENT_TYPE)
        response.force_close()
        return response

    def _await_head(self) -> None:
        seconds = self._bounds.head_seconds
        self._head_timer = asyncio.get_running_loop().call_later(seconds, self._too_slow, seconds)

    def _forget_head(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _too_slow(self, seconds: float) -> None:
        self._head_timer = None
        transport = self.transport
        if transport is None:
            return
        body = encoded(Problem("request_timeout", f"the head of a request must come within {seconds:.0f} s"))
        transport.write(
            b"HTTP/1.1 408 Request Timeout\r\ncontent-type: application/problem+json\r\nconnection: close\r\n"
            b"content-length: %d\r\n\r\n%b" % (len(body), body)
        )
        self.force_close()


class BoundedServer(web.Server):
    """Makes connections of the bounded kind."""

    def __init__(self, handler: Any, *, make: Callable[..., GatewayConnection], **settings: Any) -> None:
        super().__init__(handler, **settings)
        self._make = make

    def __call__(self) -> RequestHandler:
        return self._make(self, loop=self._loop, **self._kwargs)


class BoundedRunner(web.AppRunner):
    """An AppRunner whose connections are bounded."""

    def __init__(self, app: web.Application, bounds: ConnectionBounds, quick: QuickWay | None = None) -> None:
        super().__init__(app, access_log=None, shutdown_timeout=STOP_SECONDS)
        self._make = partial(GatewayConnection, bounds=bounds, quick=quick)

    async def _make_server(self) -> web.Server:
        plain = await super()._make_server()
        return BoundedServer(
            plain.request_handler,
            request_factory=plain.request_factory,
            make=self._make,
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
