"""The private HTTP page of a process: /metrics, /health/live, /health/ready, /_info. On the event loop, no thread.

It has no authentication and no TLS: it listens on 127.0.0.1 unless told otherwise.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import orjson

from pushcast.model.errors import ConfigurationError
from pushcast.model.zones import tzdata_version

logger = logging.getLogger(__name__)

MAX_CONNECTIONS: Final = 8
MAX_REQUEST_BYTES: Final = 8192
REQUEST_SECONDS: Final = 5.0

#: What is wrong, one sentence each; none when all is well. Called on the loop; must not block.
Probe = Callable[[], Sequence[str]]

JSON_TYPE: Final = "application/json"
METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"  # the Prometheus text format

_REASONS: Final = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    503: "Service Unavailable",
}


class HealthResponse(NamedTuple):
    """An answer before it is written."""

    status: int
    content_type: str
    body: bytes


class HealthServer:
    """Serves until `close`. At most 8 connections at once, others are closed unheard; one request each, 8 KiB, 5 s.

    `degraded`: what is wrong and leaves a ready process at its work; told in the body of /health/ready.
    A probe that raises is a failed one: it is logged and answered with 500, and the server goes on. A loop that no
    longer ticks shows as a request without an answer.
    """

    def __init__(
        self,
        *,
        metrics: Callable[[], bytes],
        info: Callable[[], Mapping[str, Any]],
        live: Probe,
        ready: Probe,
        degraded: Probe = tuple,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self._metrics = metrics
        self._info = info
        self._live = live
        self._ready = ready
        self._degraded = degraded
        self.host = host
        self.port = port
        self._server: asyncio.Server | None = None
        self._open: dict[asyncio.Task[Any], asyncio.StreamWriter] = {}

    async def start(self) -> None:
        """Listens; `port` is the real one afterwards. Raises ConfigurationError when the port is taken, or not ours."""
        try:
            self._server = await asyncio.start_server(self._connected, self.host, self.port, limit=MAX_REQUEST_BYTES)
        except OSError as error:
            place = f"observe.host, observe.port: {self.host}:{self.port}"
            raise ConfigurationError(f"{place}: {error.strerror or error}") from None
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stops listening and ends what is open."""
        if self._server is None:
            return
        self._server.close()
        for writer in self._open.values():
            writer.transport.abort()  # its handler sees the end of the stream
        await asyncio.gather(*self._open)
        await self._server.wait_closed()
        self._server = None

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        if len(self._open) >= MAX_CONNECTIONS:
            logger.warning("a connection was closed unheard: %d are open", MAX_CONNECTIONS)
            writer.transport.abort()
            return
        self._open[task] = writer
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                answer = await self._exchange(reader)
                if not writer.transport.is_closing():  # uvloop raises RuntimeError for one that was aborted
                    writer.write(answer)
                    await writer.drain()
        except (TimeoutError, ConnectionError) as error:
            logger.debug("health request ended: %r", error)
            writer.transport.abort()  # `close` would wait for a client that reads nothing, and keep its answer
        finally:
            del self._open[task]
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader) -> bytes:
        try:
            request = await reader.readuntil(b"\r\n\r\n")
        except asyncio.LimitOverrunError:
            return _encode(_problem(431, f"the request exceeds {MAX_REQUEST_BYTES} bytes"), head=False)
        except asyncio.IncompleteReadError:
            return _encode(_problem(400, "the request ended early"), head=False)
        line = request.split(b"\r\n", 1)[0].split(b" ")
        if len(line) != 3 or not line[2].startswith(b"HTTP/1."):
            return _encode(_problem(400, "not an HTTP/1 request"), head=False)
        method, target = line[0], line[1].split(b"?", 1)[0]
        if method not in (b"GET", b"HEAD"):
            return _encode(_problem(405, "only GET and HEAD"), head=False)
        return _encode(self.respond(target.decode("latin-1")), head=method == b"HEAD")

    def respond(self, path: str) -> HealthResponse:
        """The answer for a path."""
        try:
            match path:
                case "/metrics":
                    return HealthResponse(200, METRICS_TYPE, self._metrics())
                case "/health/live":
                    return _health(self._live())
                case "/health/ready":
                    return _health(self._ready(), self._degraded())
                case "/_info":
                    # Two processes of different zones find two times for one reading: so each says which it has.
                    info = {**self._info(), "tzdata_version": tzdata_version()}
                    return HealthResponse(200, JSON_TYPE, orjson.dumps(info, default=str))
        except Exception:
            logger.exception("%s failed", path)
            return _problem(500, "the probe failed; the log says why")
        return _problem(404, "there are /metrics, /health/live, /health/ready and /_info")


def _health(problems: Sequence[str], degraded: Sequence[str] = ()) -> HealthResponse:
    status = "failing" if problems else "degraded" if degraded else "ok"
    body = orjson.dumps({"status": status, "problems": [*problems, *degraded]})
    return HealthResponse(503 if problems else 200, JSON_TYPE, body)


def _problem(status: int, text: str) -> HealthResponse:
    return HealthResponse(status, JSON_TYPE, orjson.dumps({"status": "error", "problems": [text]}))


def _encode(response: HealthResponse, *, head: bool) -> bytes:
    lines = [
        f"HTTP/1.1 {response.status} {_REASONS[response.status]}",
        f"content-type: {response.content_type}",
        f"content-length: {len(response.body)}",
        "connection: close",
        *(["allow: GET, HEAD"] if response.status == 405 else []),
    ]
    return "\r\n".join([*lines, "", ""]).encode() + (b"" if head else response.body)
