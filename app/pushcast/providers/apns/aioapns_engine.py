"""Reference engine on aioapns 4.0, for comparison and as a fallback, with what is wrong in the library put right.

Kept from aioapns: its HTTP/2 connection, its requests and its way of sending them. Put right by subclassing: the
receive window is replenished, every end of a stream ends its request (answers without a body, RST_STREAM), GOAWAY
closes nothing that may still be answered, the number of streams follows SETTINGS both ways, the send window is waited
for, deadlines free their stream, the provider token is one for all connections, the address can be set, a connection
does not close itself after 10 s of rest, and nothing is sent again that may have arrived.

Accepted: the payload is JSON with spaces after separators, so the largest payloads grow beyond APNs' limit.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from typing import Any, Final, cast

import orjson
from aioapns.common import NotificationRequest
from aioapns.connection import APNsTLSClientProtocol, AuthorizationHeaderProvider, ChannelPool
from h2.connection import ConnectionState
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

from pushcast.providers.engines.engine import (
    MAX_BODY_BYTES,
    Columns,
    OnOutcomes,
    OutcomeBuffer,
    Request,
    materialize,
    run_each,
)
from pushcast.providers.http2.request import Kind, Response, Template

MAX_IN_FLIGHT: Final = 1000
CONNECT_TIMEOUT_SECONDS: Final = 10.0
# More than any APNs payload: a stream is taken only when the body will go out at once, as aioapns does not wait.
_BODY_ROOM_BYTES: Final = 8192
_LARGEST_WINDOW_BYTES: Final = 2**31 - 1
_REST_SECONDS: Final = 3600
_MAX_REFUSALS: Final = 5


class _Refusal(Exception):
    """There is no stream on this connection: nothing was sent."""


class _Value:
    """aioapns reads `.value` of a push type and knows not all of them."""

    def __init__(self, value: str) -> None:
        self.value = value


class _At(int):
    """An absolute expiration where aioapns adds a time to live to the present time."""

    def __radd__(self, now: int) -> int:
        return int(self)


class _Streams:
    """In place of aioapns' ChannelPool, which loses count when the server lowers the number of streams."""

    def __init__(self, connection: Connection) -> None:
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
                raise _Refusal
            if not self.is_busy:
                break
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            await waiter
        self.open += 1
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


class Connection(APNsTLSClientProtocol):
    """aioapns' connection; its futures resolve to our Response."""

    INACTIVITY_TIME = _REST_SECONDS

    def __init__(self, authority: str, topic: str, authorization: AuthorizationHeaderProvider | None) -> None:
        super().__init__(topic, asyncio.get_running_loop(), None, authorization)
        self.APNS_SERVER = authority
        self.ending = False
        self.opened_at = self.loop.time()
        self.settled: asyncio.Future[None] = self.loop.create_future()
        self.streams = _Streams(self)
        self.free_channels = cast("ChannelPool", self.streams)
        # aioapns' own tables, with our Response where it has its NotificationResult.
        self.requests: dict[str, Any] = {}
        self.exchanges: dict[int, _Exchange] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.conn.increment_flow_control_window(_LARGEST_WINDOW_BYTES - 65_535)
        self.flush()

    async def post(self, request: NotificationRequest) -> Response:
        """aioapns' own sending. Raises _Refusal when nothing was sent."""
        return cast("Response", await self.send_notification(request))

    def data_received(self, data: bytes) -> None:
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
            # To h2 the connection is over now; to RFC 9113 §6.8 streams up to the last id may still be answered.
            self.conn.state_machine.state = ConnectionState.CLIENT_OPEN
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


class _Authorization(AuthorizationHeaderProvider):
    """The one header all connections send; aioapns' own provider mints a token for each of them."""

    value = ""

    def get_header(self) -> str:
        return self.value


class AioapnsEngine:
    """Requests one by one on aioapns connections."""

    def __init__(self, host: str, port: int, tls: ssl.SSLContext, max_connections: int, *, with_token: bool) -> None:
        self._host = host
        self._port = port
        self._tls = tls
        self._max_connections = max_connections
        self._connections: list[Connection] = []
        self._opening: asyncio.Task[Connection] | None = None
        self._slots = asyncio.Semaphore(MAX_IN_FLIGHT)
        self._authorization = _Authorization()
        self._with_token = with_token

    async def start(self) -> None:
        """Connections open when they are needed."""

    async def exchange(
        self, template: Template, columns: Columns, size: int, deadline_at: float, on_outcomes: OnOutcomes
    ) -> None:
        payloads: dict[bytes, Any] = {}
        buffer = OutcomeBuffer(on_outcomes)

        async def one(index: int) -> None:
            async with self._slots:
                request = materialize(template, columns, index)
                payload = payloads.get(request.body)
                if payload is None:
                    payload = payloads[request.body] = orjson.loads(request.body)
                response = await self._send(self._notification(request, payload), deadline_at)
            buffer.add(index, response)

        try:
            await run_each(size, MAX_IN_FLIGHT, one)
            buffer.flush()
        finally:
            buffer.close()

    def _notification(self, request: Request, payload: Any) -> NotificationRequest:
        headers = {name: value.decode() for name, value in request.headers}
        self._authorization.value = headers.get(b"authorization", "")
        expiration = headers.get(b"apns-expiration")
        return NotificationRequest(
            request.path.rpartition(b"/")[2].decode(),
            payload,
            headers[b"apns-id"],
            None if expiration is None else _At(expiration),
            headers.get(b"apns-priority"),  # type: ignore[arg-type]
            headers.get(b"apns-collapse-id"),
            _Value(headers[b"apns-push-type"]),  # type: ignore[arg-type]
            apns_topic=headers[b"apns-topic"],
        )

    async def _send(self, request: NotificationRequest, deadline_at: float) -> Response:
        loop = asyncio.get_running_loop()
        response = Response(Kind.UNSENT, fault="deadline")
        refusals = 0
        while loop.time() < deadline_at and refusals < _MAX_REFUSALS:
            try:
                async with asyncio.timeout_at(deadline_at):
                    connection = await self._connection()
            except TimeoutError:
                break
            except OSError as error:
                return Response(Kind.UNSENT, fault=type(error).__name__)
            sending = loop.create_task(connection.post(request))
            expiry = loop.call_at(deadline_at, _expire, connection, request.notification_id, sending)
            try:
                response = await sending
            except _Refusal:
                continue
            except asyncio.CancelledError:
                if sending.cancelled() and loop.time() >= deadline_at:
                    break  # by `_expire`, while it waited for a stream
                connection.expire(request.notification_id)
                raise
            finally:
                expiry.cancel()
            if response.kind is not Kind.REFUSED:
                return response
            refusals += response.fault != "goaway"
        return response

    async def _connection(self) -> Connection:
        """The least busy one; another is opened while all are busy. Raises OSError, among them all of TLS."""
        while True:
            self._connections = [connection for connection in self._connections if not connection.ending]
            best = min(self._connections, key=lambda connection: connection.streams.open, default=None)
            if best is not None and (not best.streams.is_busy or len(self._connections) >= self._max_connections):
                return best
            if self._opening is None:
                self._opening = asyncio.create_task(self._open())
                self._opening.add_done_callback(self._opened)
            if best is not None:
                return best
            await asyncio.shield(self._opening)

    def _opened(self, task: asyncio.Task[Connection]) -> None:
        self._opening = None
        if not task.cancelled():
            task.exception()  # whoever waited for it has it; a connection that was only an extra one is not missed

    async def _open(self) -> Connection:
        authority = self._host if self._port == 443 else f"{self._host}:{self._port}"
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(CONNECT_TIMEOUT_SECONDS):
            _, connection = await loop.create_connection(
                lambda: Connection(authority, "", self._authorization if self._with_token else None),
                self._host,
                self._port,
                ssl=self._tls,
            )
            await connection.settled
        self._connections.append(connection)
        return connection

    def replace_connections(self, opened_before: float) -> None:
        for connection in self._connections:
            if connection.opened_at < opened_before:
                connection.retire()

    async def close(self) -> None:
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.gather(self._opening, return_exceptions=True)
        for connection in self._connections:
            connection.close()


def _expire(connection: Connection, name: str, sending: asyncio.Task[Response]) -> None:
    if name in connection.requests:
        connection.expire(name)
    else:
        sending.cancel()
