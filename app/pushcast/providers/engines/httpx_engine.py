"""Reference engine on httpx: for comparison, and as a fallback.

Known limits of httpx 0.28 over HTTP/2, worked round or accepted here: one connection per client, at most 100 streams;
a GOAWAY fails every request in flight, so their outcome is unknown; a timeout of one request may fail its neighbours;
a stream that is cancelled or times out stays open for ever, so the client is replaced then; nothing tells when a
request has been written, so its time to answer begins when it is handed over, and httpx judges it by a timer of its
own, which may come before a late reader.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import Final

import httpx

from pushcast.http2.leave import MayLeave, always
from pushcast.http2.pool_stats import PoolStats
from pushcast.http2.request import Kind, Response, Template
from pushcast.providers.engines.engine import (
    MAX_BODY_BYTES,
    Columns,
    EngineRequest,
    OnOutcomes,
    OutcomeBuffer,
    Slots,
    materialize,
    run_each,
)

MAX_IN_FLIGHT: Final = 100
_GRACE_SECONDS: Final = 0.5
_UNSENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)
_TIMED_OUT: Final = (httpx.ReadTimeout, httpx.WriteTimeout)


class _Lease:
    """A client and the requests on it; closed when it is retired and there are none."""

    def __init__(self, client: httpx.AsyncClient, opened_at: float) -> None:
        self.client = client
        self.opened_at = opened_at
        self.users = 0
        self.running: set[asyncio.Task[httpx.Response]] = set()
        self.warm = False  # a burst on a cold connection fails where the server starts with one stream
        self.first = asyncio.Lock()


class HttpxEngine:
    """Requests one by one on one HTTP/2 client, at most 100 in flight."""

    def __init__(self, url: str, tls: ssl.SSLContext, proxy: httpx.Proxy | None = None) -> None:
        self._url = url
        self._tls = tls
        self._proxy = proxy
        self._lease: _Lease | None = None
        self._retired: set[_Lease] = set()
        self._slots = Slots(MAX_IN_FLIGHT)

    @property
    def slow(self) -> bool:
        return self._slots.slow

    async def start(self) -> None:
        self._lease = self._open()

    def _open(self) -> _Lease:
        client = httpx.AsyncClient(
            base_url=self._url,
            verify=self._tls,
            http1=False,
            http2=True,
            trust_env=False,
            follow_redirects=False,
            proxy=self._proxy,
            limits=httpx.Limits(max_connections=1, keepalive_expiry=3600),
        )
        client.headers.clear()
        return _Lease(client, asyncio.get_running_loop().time())

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
        buffer = OutcomeBuffer(on_outcomes)

        async def one(index: int) -> None:
            async with self._slots.one():
                response = await self._send(materialize(template, columns, index), timeout_seconds, may_leave)
            buffer.add(index, response)

        try:
            await run_each(size, MAX_IN_FLIGHT, one)
            buffer.flush()
        finally:
            buffer.close()

    async def _send(self, request: EngineRequest, timeout_seconds: float, may_leave: MayLeave) -> Response:
        lease = self._lease
        if lease is None:
            return Response(Kind.UNSENT, fault="closed_by_us")
        lease.users += 1
        try:
            if lease.warm:
                return await self._post(lease, request, timeout_seconds, may_leave)
            async with lease.first:
                if not lease.warm:
                    return await self._post(lease, request, timeout_seconds, may_leave)
            return await self._post(lease, request, timeout_seconds, may_leave)
        finally:
            lease.users -= 1
            await self._close_if_idle(lease)

    async def _post(
        self, lease: _Lease, request: EngineRequest, timeout_seconds: float, may_leave: MayLeave
    ) -> Response:
        if not may_leave():
            return Response(Kind.UNSENT, fault="not_ours")
        # Shielded: a request that is cancelled takes its neighbours on the connection with it.
        request_task = asyncio.create_task(
            lease.client.request(
                "POST",
                request.path.decode(),
                headers=request.headers,
                content=request.body,
                timeout=timeout_seconds,
            )
        )
        lease.running.add(request_task)
        request_task.add_done_callback(lease.running.discard)
        try:
            # httpx's own timeout does not cover the wait for a stream, in which httpcore can hang for ever.
            async with asyncio.timeout(timeout_seconds + _GRACE_SECONDS):
                answer = await asyncio.shield(request_task)
        except _UNSENT as error:
            return Response(Kind.UNSENT, fault=type(error).__name__)
        except (TimeoutError, *_TIMED_OUT):
            self._replace(lease)
            return Response(Kind.DEADLINE)
        except httpx.HTTPError as error:
            if isinstance(error, httpx.LocalProtocolError):
                self._replace(lease)
            return Response(Kind.UNKNOWN, fault=type(error).__name__)
        lease.warm = True
        headers = tuple((name.lower(), value) for name, value in answer.headers.raw)
        return Response(Kind.ANSWERED, answer.status_code, headers, answer.content[:MAX_BODY_BYTES])

    def replace_connections(self, opened_before: float) -> None:
        if self._lease is not None and self._lease.opened_at <= opened_before:  # uvloop counts milliseconds
            self._replace(self._lease)

    def _replace(self, lease: _Lease) -> None:
        if lease is self._lease:
            self._retired.add(lease)
            self._lease = self._open()

    async def _close_if_idle(self, lease: _Lease) -> None:
        if lease in self._retired and lease.users == 0:
            self._retired.discard(lease)
            await _close(lease)

    async def close(self) -> None:
        leases = [*self._retired, *([self._lease] if self._lease is not None else [])]
        self._lease = None
        self._retired.clear()
        for lease in leases:
            await _close(lease)


async def _close(lease: _Lease) -> None:
    running = list(lease.running)
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    await lease.client.aclose()
