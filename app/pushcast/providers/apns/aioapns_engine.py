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
from typing import Any, Final

import orjson
from aioapns.common import NotificationRequest
from aioapns.connection import AuthorizationHeaderProvider

from pushcast.http2.dial import connect, resolve
from pushcast.http2.leave import MayLeave, always
from pushcast.http2.pool_stats import PoolStats
from pushcast.http2.request import Kind, Response, Template
from pushcast.providers.apns.aioapns_connection import MAX_IN_FLIGHT, AioapnsConnection, NoStream, NotOurs
from pushcast.providers.engines.engine import (
    Columns,
    EngineRequest,
    OnOutcomes,
    OutcomeBuffer,
    Slots,
    materialize,
    run_each,
)

CONNECT_TIMEOUT_SECONDS: Final = 10.0
_MAX_REFUSALS: Final = 5
_LOOK_AGAIN_SECONDS: Final = 0.1


class _Value:
    """aioapns reads `.value` of a push type and knows not all of them."""

    def __init__(self, value: str) -> None:
        self.value = value


class _At(int):
    """An absolute expiration where aioapns adds a time to live to the present time."""

    def __radd__(self, now: int) -> int:
        return int(self)


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
        self._connections: list[AioapnsConnection] = []
        self._opening: asyncio.Task[AioapnsConnection] | None = None
        self._slots = Slots(MAX_IN_FLIGHT)
        self._authorization = _Authorization()
        self._with_token = with_token

    @property
    def slow(self) -> bool:
        return self._slots.slow

    async def start(self) -> None:
        """Connections open when they are needed."""

    def pools(self) -> list[PoolStats]:
        return []

    async def exchange(
        self,
        template: Template,
        columns: Columns,
        size: int,
        timeout_seconds: float,
        on_outcomes: OnOutcomes,
        may_leave: MayLeave = always,
    ) -> None:
        payloads: dict[bytes, Any] = {}
        buffer = OutcomeBuffer(on_outcomes)

        async def one(index: int) -> None:
            async with self._slots.one():
                request = materialize(template, columns, index)
                payload = payloads.get(request.body)
                if payload is None:
                    payload = payloads[request.body] = orjson.loads(request.body)
                response = await self._send(self._notification(request, payload), timeout_seconds, may_leave)
            buffer.add(index, response)

        try:
            await run_each(size, MAX_IN_FLIGHT, one)
            buffer.flush()
        finally:
            buffer.close()

    def _notification(self, request: EngineRequest, payload: Any) -> NotificationRequest:
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

    async def _send(self, request: NotificationRequest, timeout_seconds: float, may_leave: MayLeave) -> Response:
        loop = asyncio.get_running_loop()
        deadline_at = loop.time() + timeout_seconds  # of the wait to leave
        response = Response(Kind.UNSENT, fault="unheard")
        refusals = 0
        while loop.time() < deadline_at and refusals < _MAX_REFUSALS:
            try:
                async with asyncio.timeout_at(deadline_at):
                    connection = await self._connection()
            except TimeoutError:
                break
            except OSError as error:
                return Response(Kind.UNSENT, fault=type(error).__name__)
            expiry = _Expiry(connection, request.notification_id, timeout_seconds)
            sending = loop.create_task(connection.post(request, may_leave, expiry.left))
            expiry.handle = loop.call_at(deadline_at, sending.cancel)
            try:
                response = await sending
            except NoStream:
                continue
            except NotOurs:
                return Response(Kind.UNSENT, fault="not_ours")
            except asyncio.CancelledError:
                if sending.cancelled() and loop.time() >= deadline_at:
                    break  # by its timer, while it waited for a stream
                connection.expire(request.notification_id)
                raise
            finally:
                expiry.cancel()
            if response.kind is not Kind.REFUSED:
                return response
            refusals += response.fault != "goaway"
        return response

    async def _connection(self) -> AioapnsConnection:
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

    def _opened(self, task: asyncio.Task[AioapnsConnection]) -> None:
        self._opening = None
        if not task.cancelled():
            task.exception()  # whoever waited for it has it; a connection that was only an extra one is not missed

    async def _open(self) -> AioapnsConnection:
        authority = self._host if self._port == 443 else f"{self._host}:{self._port}"
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(CONNECT_TIMEOUT_SECONDS):
            connection_socket, _ = await connect(await resolve(self._host, self._port))
            try:
                _, connection = await loop.create_connection(
                    lambda: AioapnsConnection(authority, "", self._authorization if self._with_token else None),
                    sock=connection_socket,
                    ssl=self._tls,
                    server_hostname=self._host,
                )
            except BaseException:
                connection_socket.close()
                raise
            await connection.settled
        self._connections.append(connection)
        return connection

    def replace_connections(self, opened_before: float) -> None:
        for connection in self._connections:
            if connection.opened_at <= opened_before:  # uvloop counts milliseconds
                connection.retire()

    async def close(self) -> None:
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.gather(self._opening, return_exceptions=True)
        for connection in self._connections:
            connection.close()


class _Expiry:
    """Ends a request that waits too long for a stream, and one whose answer has not come in time although what lay in
    the socket was read."""

    def __init__(self, connection: AioapnsConnection, name: str, timeout_seconds: float) -> None:
        self.handle: asyncio.TimerHandle | None = None
        self._connection = connection
        self._name = name
        self._timeout_seconds = timeout_seconds

    def left(self) -> None:
        """It is written now: the time for its answer begins."""
        self._set(self._timeout_seconds)

    def cancel(self) -> None:
        if self.handle is not None:
            self.handle.cancel()

    def _set(self, seconds: float) -> None:
        self.cancel()
        self.handle = asyncio.get_running_loop().call_later(seconds, self._expire)

    def _expire(self) -> None:
        if self._connection.all_read():
            self._connection.expire(self._name)
        else:
            self._set(_LOOK_AGAIN_SECONDS)
