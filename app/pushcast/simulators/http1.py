"""HTTP/1.1 in front of the same request handlers, for clients whose provider also speaks it (FCM, its token endpoint).

A request becomes the header fields it would have in HTTP/2, an answer's header block is written as HTTP/1.1 headers.
Frames that HTTP/1.1 does not have become what comes closest: a reset or a GOAWAY without grace cuts the connection, a
graceful GOAWAY is `connection: close`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, Protocol, cast

import h11

from pushcast.http2.server_hpack import BlockDecoder, Field, Shape
from pushcast.simulators.connection import Connection

if TYPE_CHECKING:
    from pushcast.simulators.provider import Provider


_PHRASES: Final = {int(each): each.phrase for each in HTTPStatus}


class Http1Handler(Protocol):
    """The part of a provider that HTTP/1.1 connections call."""

    def opened(self, connection: Connection) -> None: ...

    def request(
        self, connection: Connection, stream_id: int, shape: Shape, values: tuple[bytes, ...], body: bytes
    ) -> None: ...

    def violated(self, connection: Connection, what: str) -> None: ...

    def closed(self, connection: Connection, unanswered: int) -> None: ...


class Http1Connection(asyncio.Protocol):
    """One request at a time; `stream_id` counts them. A body above `max_body_bytes` ends the connection."""

    def __init__(self, handler: Http1Handler, number: int, *, max_body_bytes: int = 65_536) -> None:
        self.number = number
        self.out: list[bytes] = []
        self.answered = 0
        self.received_at = 0.0
        self.requests = 0
        self.transport: asyncio.Transport | None = None
        self.going_away = False
        self.max_active = 1
        self.memo: object = None
        self.style = "plain"
        self.bytes_per_second = 0.0
        self._handler = handler
        self._machine = h11.Connection(h11.SERVER)
        self._fields: list[Field] = []
        self._method = b""
        self._body = bytearray()
        self._waiting = 0
        self._max_body_bytes = max_body_bytes
        self._frozen = False
        self._ended = False

    @property
    def open_stream_ids(self) -> list[int]:
        return [self._waiting] if self._waiting else []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self._handler.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._ended:
            self._ended = True
            self._handler.closed(self, 1 if self._waiting else 0)

    def data_received(self, data: bytes) -> None:
        self.received_at = time.time()
        self._go_on(data)

    def _go_on(self, data: bytes) -> None:
        try:
            if data:  # none would tell h11 that the client has closed its side
                self._machine.receive_data(data)
            self._advance()
        except h11.RemoteProtocolError:
            self._handler.violated(self, "http1_error")
            self.abort()
            return
        self.flush()

    def _advance(self) -> None:
        while not self._waiting and not self._ended:
            event = self._machine.next_event()
            if event is h11.NEED_DATA or event is h11.PAUSED:
                return
            if isinstance(event, h11.Request):
                self._body.clear()
                self._fields = _fields(event)
                self._method = bytes(event.method)
            elif isinstance(event, h11.Data):
                self._body += event.data
                if len(self._body) > self._max_body_bytes:
                    raise h11.RemoteProtocolError("body too large")
            elif isinstance(event, h11.EndOfMessage):
                self.requests += 1
                self._waiting = self.requests
                self._handler.request(self, self._waiting, Shape(tuple(self._fields)), (), bytes(self._body))
            elif isinstance(event, h11.ConnectionClosed):
                self.close()
                return

    def hold(self, stream_id: int) -> None:
        """Nothing to do: the connection waits for each answer anyway."""

    def answer(self, stream_id: int, block: bytes, body: bytes = b"", *, cut: int = 0, trail: bool = False) -> bool:
        if stream_id != self._waiting or self._ended:
            return False
        # RFC 9110 §8.6, §9.3.2: of HEAD the length alone, of 204 and 304 nothing.
        bodiless = self._write_head(block, [(b"content-length", b"%d" % len(body))])
        if not bodiless:
            self.out.append(self._machine.send(h11.Data(data=body)) or b"")
        self.out.append(self._machine.send(h11.EndOfMessage()) or b"")
        self._waiting = 0
        if self._machine.our_state is h11.DONE and self._machine.their_state is h11.DONE:
            self._machine.start_next_cycle()
            asyncio.get_running_loop().call_soon(self._next)
        else:
            asyncio.get_running_loop().call_soon(self.close)
        return True

    def _next(self) -> None:
        """Requests that came before this one was answered."""
        if not self._ended and self._machine.trailing_data[0]:
            self._go_on(b"")

    def answer_held(
        self, stream_id: int, block: bytes, body: bytes = b"", *, cut: int = 0, trail: bool = False
    ) -> bool:
        return self.answer(stream_id, block, body)

    def begin_answer(self, stream_id: int, block: bytes, body: bytes) -> None:
        if not self._write_head(block, [(b"content-length", b"%d" % (len(body) + 100))]):
            self.out.append(self._machine.send(h11.Data(data=body)) or b"")

    def _write_head(self, block: bytes, extra: list[Field]) -> bool:
        """Returns whether nothing of a body may follow."""
        shape, values = BlockDecoder().decode(block)
        fields = shape.fill(values)
        status = int(dict(fields)[b":status"])
        empty = status in {204, 304}
        headers = [field for field in fields if not field[0].startswith(b":")] + ([] if empty else extra)
        if self.going_away:
            headers.append((b"connection", b"close"))
        reason = _PHRASES.get(status, "").encode()  # edges have statuses of their own, such as 520
        self.out.append(self._machine.send(h11.Response(status_code=status, headers=headers, reason=reason)) or b"")
        return empty or self._method == b"HEAD"

    def reset(self, stream_id: int, error_code: int) -> None:
        self.flush()
        self.abort()

    def send_settings(self, values: dict[int, int]) -> None:
        """HTTP/1.1 has none."""

    def send_ping(self, payload: bytes) -> None:
        """HTTP/1.1 has none."""

    def goaway(self, error_code: int, debug: bytes = b"", *, last_stream_id: int | None = None) -> None:
        self.going_away = True

    def drain(self) -> None:
        if not self._waiting:
            self.close()

    def freeze(self, frozen: bool) -> None:
        self._frozen = frozen
        if self.transport is not None and not self._ended:
            if frozen:
                self.transport.pause_reading()
            else:
                self.transport.resume_reading()
                self.flush()

    def flush(self) -> None:
        self.answered = 0
        if self.out and not self._frozen and not self._ended and self.transport is not None:
            self.transport.write(b"".join(self.out))
            self.out.clear()

    def close(self) -> None:
        if self.transport is not None and not self._ended:
            self.flush()
            self.transport.close()

    def abort(self) -> None:
        if self.transport is not None:
            self.transport.abort()


def _fields(event: h11.Request) -> list[Field]:
    headers = [(bytes(name), bytes(value)) for name, value in event.headers]
    host = dict(headers).get(b"host", b"")
    fields = [(b":method", bytes(event.method)), (b":path", bytes(event.target))]
    if host:
        fields.append((b":authority", host))
    return fields + [field for field in headers if field[0] != b"host"]


def choose_by_alpn(provider: Provider) -> Callable[[str | None], asyncio.Protocol]:
    """HTTP/2 where ALPN chose it, else HTTP/1.1."""

    def choose(alpn: str | None) -> asyncio.Protocol:
        if alpn == "h2":
            return provider.new_connection()
        provider.opened_total += 1
        return Http1Connection(provider, provider.opened_total, max_body_bytes=provider.initial_settings.max_body_bytes)

    return choose
