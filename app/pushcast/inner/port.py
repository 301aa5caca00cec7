"""A port for other processes of ours. Not for clients: the gateway is."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from aiohttp import web

#: Of a request's body, where nobody says otherwise.
MAX_BYTES: Final = 1 << 20
#: What is in progress has so long when the port closes: a request that comes half would take a minute, longer than
#: supervisors give, and the process would be killed before it has closed its stores.
STOP_SECONDS: Final = 5.0
#: Answers a request that has shown its token.
Answering = Callable[[web.Request], Awaitable[web.Response]]
Route = tuple[str, str]  # method and path


class InnerPort:
    """`token`: a bearer token that is demanded of every request; None: for loopback."""

    def __init__(self, token: str | None, routes: Mapping[Route, Answering], max_bytes: int = MAX_BYTES) -> None:
        self._expected = None if token is None else f"Bearer {token}".encode()
        app = web.Application(client_max_size=max_bytes)
        for (method, path), answer in routes.items():
            app.router.add_route(method, path, self._guarded(answer))
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=STOP_SECONDS)
        self.port = 0

    async def start(self, host: str, port: int) -> None:
        """Listens; `port` is the real one afterwards. Raises OSError when the port is taken."""
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port).start()
        self.port = self._runner.addresses[0][1]

    async def close(self) -> None:
        """Stops listening; what is in progress is answered within 5 s, or never."""
        await self._runner.cleanup()

    def _guarded(self, answer: Answering) -> Answering:
        async def handle(request: web.Request) -> web.Response:
            # Bytes that are no UTF-8 come as half surrogates: they are a wrong token, and no fault of ours.
            sent = request.headers.get("Authorization", "").encode(errors="surrogateescape")
            if self._expected is not None and not hmac.compare_digest(sent, self._expected):
                return web.Response(status=401)
            return await answer(request)

        return handle
