"""How gateways reach each other for quotas: a port of its own with one call, and the client of that call."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from pushcast.gateway.access import Door
from pushcast.inner.client import InnerClient
from pushcast.inner.port import InnerPort
from pushcast.model.errors import InvalidInput
from pushcast.wire.control import quota_leases
from pushcast.wire.control.quota_leases import LeaseAsk, QuotaGrant

PATH: Final = "/leases"
MAX_BYTES: Final = 4096
#: A request waits for no longer: then each gateway counts by itself.
ANSWER_SECONDS: Final = 0.25


class LeaseServer(InnerPort):
    """POST /leases, for other gateways alone."""

    def __init__(self, door: Door, token: str | None) -> None:
        self._door = door
        super().__init__(token, {("POST", PATH): self._lease}, MAX_BYTES)

    async def _lease(self, request: web.Request) -> web.Response:
        try:
            ask = quota_leases.decode_ask(await request.read())
        except InvalidInput as error:
            return web.Response(status=400, text=str(error))
        return web.Response(body=quota_leases.encode(self._door.lease(ask)), content_type="application/json")


class LeaseClient:
    """Callable as `shared_quotas.AskHome`. Close it."""

    def __init__(self, token: str | None, seconds: float | None = None) -> None:
        """`seconds` in which an answer must have come; None: as many as a request waits for at most."""
        self._client = InnerClient(token, ANSWER_SECONDS if seconds is None else seconds)

    async def __call__(self, url: str, ask: LeaseAsk) -> list[QuotaGrant]:
        """Raises OSError when there is no answer, or none that can be read."""
        content = (await self._client.post(url + PATH, quota_leases.encode(ask))).found()
        try:
            return quota_leases.decode_grants(content, len(ask.quotas))
        except InvalidInput as error:
            raise OSError(str(error)) from None

    async def close(self) -> None:
        """Closes its connections."""
        await self._client.close()
