"""aioapns' connection with what is wrong in it put right; `aioapns_engine` says what that is."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, Final, cast

from aioapns.common import NotificationRequest
from aioapns.connection import APNsTLSClientProtocol, AuthorizationHeaderProvider, ChannelPool
from h2.connection import ConnectionInputs, ConnectionState, H2ConnectionStateMachine
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    RemoteSettingsChanged,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    WindowUpdated,
)
from h2.exceptions import H2Error
from h2.settings import SettingCodes

from pushcast.http2.leave import MayLeave, always
from pushcast.http2.leaving import Unread
from pushcast.http2.request import Kind, Response
from pushcast.providers.engines.engine import MAX_BODY_BYTES

MAX_IN_FLIGHT: Final = 1000
# More than any APNs payload: a stream is taken only when the body will go out at once, as aioapns does not wait.
_BODY_ROOM_BYTES: Final = 8192
_LARGEST_WINDOW_BYTES: Final = 2**31 - 1
_REST_SECONDS: Final = 3600
# aioapns takes a stream and writes in one method: what is asked between the two comes round it.
_may_leave: ContextVar[MayLeave] = ContextVar("may_leave", default=always)
_left: ContextVar[Callable[[], None]] = ContextVar("left")


class NoStream(Exception):
    """There is no stream on this connection: nothing was sent."""


class NotOurs(Exception):
    """The request may not leave any more: nothing was sent."""


class _Streams:
    """In place of aioapns' ChannelPool, which loses count when the server lowers the number of streams."""

    def __init__(self, connection: AioapnsConnection) -> None:
        self.bound = 0  # until the server's first SETTINGS
        self.open = 0
        self._connection = connection
        self._waiters: deque[asyncio.Future[None]] = deque()

    @property
    def is_busy(self) -> bool:
        return self.open >= self.bound or self._connection.conn.outbound_flow_control_window < _BODY_ROOM_BYTES

    async def acquire(self) -> int:
        while True:
            if self._connection.ending:
                raise NoStream
            if not self.is_busy:
                break
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            await waiter
        if not _may_leave.get()():
            raise NotOurs
        self.open += 1
        _left.get()()
        stream_id: int = self._connection.conn.get_next_available_stream_id()
        return stream_id

    def release(self) -> None:
        self.open -= 1
        self.wake()

    def wake(self) -> None:
        """Everyone looks again; called when streams, windows or the end came."""
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)

    def destroy(self, error: BaseException) -> None:
        self.wake()


class _Exchange:
    """One open stream."""

    __slots__ = ("body", "headers", "name", "status")

    def __init__(self, name: str) -> None:
        self.name = name
        self.status = 0
        self.headers: tuple[tuple[bytes, bytes], ...] = ()
        self.body = b""


class _OpenAfterGoaway(H2ConnectionStateMachine):
    """To h2 a connection is over at GOAWAY, and answers behind it in the same bytes are a fault of the server. RFC 9113
    §6.8: streams up to the last id may still be answered."""

    def __init__(self) -> None:
        super().__init__()
        stays = {(ConnectionState.CLIENT_OPEN, ConnectionInputs.RECV_GOAWAY): (None, ConnectionState.CLIENT_OPEN)}
        self._transitions = self._transitions | stays


class AioapnsConnection(APNsTLSClientProtocol):
    """aioapns' connection; its futures resolve to our Response."""

    INACTIVITY_TIME = _REST_SECONDS

    def __init__(self, authority: str, topic: str, authorization: AuthorizationHeaderProvider | None) -> None:
        super().__init__(topic, asyncio.get_running_loop(), None, authorization)
        self.conn.state_machine = _OpenAfterGoaway()
        self.APNS_SERVER = authority
        self.ending = False
        self.opened_at = self.loop.time()
        self.settled: asyncio.Future[None] = self.loop.create_future()
        self.streams = _Streams(self)
        self.free_channels = cast("ChannelPool", self.streams)
        # aioapns' own tables, with our Response where it has its NotificationResult.
        self.requests: dict[str, Any] = {}
        self.exchanges: dict[int, _Exchange] = {}
        self._unread: Unread | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._unread = Unread(cast("asyncio.Transport", transport))
        self.conn.increment_flow_control_window(_LARGEST_WINDOW_BYTES - 65_535)
        self.flush()

    async def post(self, request: NotificationRequest, may_leave: MayLeave, left: Callable[[], None]) -> Response:
        """aioapns' own sending; calls `left` when the request is written. Raises NoStream or NotOurs when nothing was
        sent. For a task of its own."""
        _may_leave.set(may_leave)
        _left.set(left)
        return cast("Response", await self.send_notification(request))

    def all_read(self) -> bool:
        """Whether nothing that the peer has sent waits to be read."""
        return self._unread is None or self._unread.all_read()

    def data_received(self, data: bytes) -> None:
        if self._unread is not None:
            self._unread.received_bytes += len(data)
        try:
            events = self.conn.receive_data(data)
        except H2Error:
            self.flush()
            self.close()
            return
        for event in events:
            self._on_event(event)
        self.flush()

    def _on_event(self, event: Any) -> None:
        if isinstance(event, ResponseReceived):
            exchange = self._exchange(event.stream_id)
            exchange.headers = tuple(event.headers)
            exchange.status = int(dict(event.headers)[b":status"])
        elif isinstance(event, DataReceived):
            self.conn.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            exchange = self._exchange(event.stream_id)
            exchange.body += event.data[: MAX_BODY_BYTES - len(exchange.body)]
        elif isinstance(event, StreamEnded):
            exchange = self._exchange(event.stream_id)
            self._end(event.stream_id, Response(Kind.ANSWERED, exchange.status, exchange.headers, exchange.body))
        elif isinstance(event, StreamReset):
            refused = event.error_code == ErrorCodes.REFUSED_STREAM
            self._end(
                event.stream_id,
                Response(Kind.REFUSED) if refused else Response(Kind.UNKNOWN, fault=f"reset:{int(event.error_code)}"),
            )
        elif isinstance(event, RemoteSettingsChanged):
            changed = event.changed_settings.get(SettingCodes.MAX_CONCURRENT_STREAMS)
            if changed is not None or not self.settled.done():
                self.streams.bound = min(self.conn.remote_settings.max_concurrent_streams, MAX_IN_FLIGHT)
            if not self.settled.done():
                self.settled.set_result(None)
            self.streams.wake()
        elif isinstance(event, WindowUpdated):
            self.streams.wake()
        elif isinstance(event, ConnectionTerminated):
            self._drain(event.last_stream_id or 0)

    def _exchange(self, stream_id: int) -> _Exchange:
        exchange = self.exchanges.get(stream_id)
        if exchange is None:
            exchange = self.exchanges[stream_id] = _Exchange(self.request_streams.get(stream_id, ""))
        return exchange

    def _end(self, stream_id: int, response: Response) -> None:
        self.exchanges.pop(stream_id, None)
        name = self.request_streams.pop(stream_id, None)
        future = None if name is None else self.requests.pop(name, None)
        if name is None:
            return
        self.streams.release()
        if future is not None and not future.done():
            future.set_result(response)
        if self.ending and not self.request_streams:
            self.close()

    def _drain(self, last_stream_id: int) -> None:
        self.ending = True
        for stream_id in [stream_id for stream_id in self.request_streams if stream_id > last_stream_id]:
            self._end(stream_id, Response(Kind.REFUSED, fault="goaway"))
        self.streams.wake()
        if not self.request_streams:
            self.close()

    def expire(self, name: str) -> None:
        """The request's deadline has passed: its stream is given up, its neighbours are not touched."""
        for stream_id, candidate in self.request_streams.items():
            if candidate == name:
                try:
                    self.conn.reset_stream(stream_id, ErrorCodes.CANCEL)
                except H2Error:
                    self.ending = True  # the state machine is over: so is the connection, once it is empty
                self._end(stream_id, Response(Kind.DEADLINE))
                self.flush()
                return

    def retire(self) -> None:
        """Takes no new requests; ends when those it has are answered."""
        self._drain(_LARGEST_WINDOW_BYTES)

    def connection_lost(self, exc: Exception | None) -> None:
        self.ending = True
        if self.inactivity_timer:
            self.inactivity_timer.cancel()
        for stream_id in list(self.request_streams):
            self._end(stream_id, Response(Kind.UNKNOWN, fault="connection_dropped"))
        self.streams.wake()
        if not self.settled.done():
            self.settled.set_exception(ConnectionResetError("closed before SETTINGS"))

    def flush(self) -> None:
        if self.transport is not None and not self.transport.is_closing():
            super().flush()
