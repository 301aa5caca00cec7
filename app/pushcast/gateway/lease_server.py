"""How gateways reach each other for quotas: a port of its own with one call, and the client of that call."""

from __future__ import annotations

import hmac
from typing import Final

import httpx
from aiohttp import web

from pushcast.gateway.access import Door
from pushcast.model.errors import InvalidInput
from pushcast.wire import quota_leases
from pushcast.wire.quota_leases import LeaseAsk, QuotaGrant

PATH: Final = "/leases"
MAX_BYTES: Final = 4096
#: A request waits for no longer: then each gateway counts by itself.
ANSWER_SECONDS: Final = 0.25


class LeaseServer:
    """POST /leases, for other gateways alone. `token`: a bearer token that is demanded; None: for loopback."""

    def __init__(self, door: Door, token: str | None) -> None:
        self._door = door
        self._expected = None if token is None else f"Bearer {token}".encode()
        self._app = web.Application(client_max_size=MAX_BYTES)
        self._app.router.add_post(PATH, self._lease)
        self._runner = web.AppRunner(self._app, access_log=None)
        self.port = 0

    async def start(self, host: str, port: int) -> None:
        """Listens; `port` is the real one afterwards. Raises OSError when the port is taken."""
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port).start()
        self.port = self._runner.addresses[0][1]

    async def close(self) -> None:
        """Stops listening."""
        await self._runner.cleanup()

    async def _lease(self, request: web.Request) -> web.Response:
        sent = request.headers.get("Authorization", "").encode()
        if self._expected is not None and not hmac.compare_digest(sent, self._expected):
            return web.Response(status=401)
        try:
            ask = quota_leases.decode_ask(await request.read())
        except InvalidInput as error:
            return web.Response(status=400, text=str(error))
        return web.Response(body=quota_leases.encode(self._door.lease(ask)), content_type="application/json")


class LeaseClient:
    """Callable as `shared_quotas.AskHome`. Close it."""

    def __init__(self, token: str | None, seconds: float | None = None) -> None:
        """`seconds` in which an answer must have come; None: as many as a request waits for at most."""
        seconds = ANSWER_SECONDS if seconds is None else seconds
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        # No proxy of the environment: gateways are reached directly.
        self._client = httpx.AsyncClient(headers=headers, trust_env=False, verify=False, timeout=seconds)  # noqa: S501

    async def __call__(self, url: str, ask: LeaseAsk) -> list[QuotaGrant]:
        """Raises OSError when there is no answer, or none that can be read."""
        try:
            answer = await self._client.post(url + PATH, content=quota_leases.encode(ask))
        except httpx.HTTPError as error:
            raise OSError(f"{type(error).__name__}: {error}") from error
        if answer.status_code != 200:
            raise OSError(f"HTTP {answer.status_code}")
        try:
            return quota_leases.decode_grants(answer.content, len(ask.quotas))
        except InvalidInput as error:
            raise OSError(str(error)) from None

    async def close(self) -> None:
        """Closes its connections."""
        await self._client.aclose()
