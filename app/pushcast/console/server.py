"""The server: pages behind the entrance, whatever goes wrong as a page, and a record of each action."""

from __future__ import annotations

import logging
import secrets
import ssl
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Final
from urllib.parse import quote

from aiohttp import web

from pushcast.console import guard
from pushcast.console.deeds import Deeds
from pushcast.console.entrance import SIGN_IN, Entrance
from pushcast.console.live import LiveStreams
from pushcast.console.paper import Answer, Paper, file, see_other
from pushcast.console.proxy import TrustedProxy
from pushcast.console.session import Sessions, SignedIn
from pushcast.console.visit import Away, Page, Visit
from pushcast.gateway.access import Caller, Door
from pushcast.gateway.connections import BoundedRunner, ConnectionBounds, address_of
from pushcast.gateway.problems import Problem
from pushcast.gateway.reading import Bodies

logger = logging.getLogger(__name__)

_SIGNED_OUT: Final = "you are signed out; sign in again"

#: (page, status, seconds) of every request.
Observe = Callable[[str, int, float], None]


class ConsoleServer:
    """Serves until `close`."""

    def __init__(
        self,
        pages: Iterable[Page],
        door: Door,
        sessions: Sessions,
        deeds: Deeds,
        *,
        secure: bool,
        proxy: TrustedProxy | None = None,
        request_seconds: float,
        observe: Observe,
        bounds: ConnectionBounds | None = None,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        """`secure`: browsers reach it by TLS, so the cookie must never travel without."""
        self._deeds = deeds
        self._observe = observe
        self._now_ms = now_ms
        self._bounds = bounds or ConnectionBounds()
        self._bounds.head_seconds = request_seconds
        self._paper = Paper(now_ms)
        self._entrance = Entrance(
            door, sessions, self._paper, Bodies(request_seconds), secure=secure, proxy=proxy, now_ms=now_ms
        )
        self._streams = LiveStreams()
        self._runner: BoundedRunner | None = None
        self.port = 0
        self._app = web.Application(middlewares=[self._misses])
        add = self._app.router.add_route
        for page in pages:
            add(page.method, page.path, self._answered(page.name, self._page(page)))
            if page.live:
                add("GET", f"/live{page.path}", self._answered(f"live_{page.name}", self._live(page)))
        add("GET", SIGN_IN, self._answered("sign_in", self._entrance.show))
        add("POST", SIGN_IN, self._answered("sign_in", self._entrance.sign_in))
        add("POST", "/sign-out", self._answered("sign_out", self._entrance.sign_out))
        for asset in self._paper.assets.values():
            add("GET", asset.path, self._answered("static", file(asset)))

    async def start(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> None:
        """Listens; `port` is the real one afterwards. Raises OSError when the port is taken."""
        self._runner = BoundedRunner(self._app, self._bounds)
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port, ssl_context=tls, backlog=256).start()
        self.port = self._runner.addresses[0][1]

    async def close(self) -> None:
        """Stops listening, ends the streams, waits for what is in progress."""
        self._streams.stop()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def _answered(self, name: str, handler: Answer) -> Answer:
        async def handle(request: web.Request) -> web.StreamResponse:
            began = time.monotonic()
            try:
                response = await handler(request)
            except Problem as problem:
                response = self._refusal(request, problem)
            except Exception:
                number = secrets.token_hex(8)
                logger.exception("request %s for %s failed", number, name)
                response = self._refusal(
                    request, Problem("internal_error", f"request {number} failed; the console's log says why")
                )
            self._observe(name, response.status, time.monotonic() - began)
            return response

        return handle

    def _page(self, page: Page) -> Answer:
        async def handle(request: web.Request) -> web.StreamResponse:
            visitor = self._entrance.visitor(request)
            if visitor is None:
                if page.method == "GET":
                    return see_other(f"{SIGN_IN}?next={quote(request.path_qs, safe='')}")
                raise Problem("no_key", _SIGNED_OUT)
            if page.method == "GET":
                _require(page, visitor.caller)
                return self._paper.said(
                    await page.handler(self._visit(request, visitor.caller)), request, page, visitor
                )
            return await self._done(request, page, visitor)

        return handle

    async def _done(self, request: web.Request, page: Page, visitor: SignedIn) -> web.Response:
        """A form. Whatever it does, or is refused, is written down before the answer."""
        caller, address = visitor.caller, address_of(request.transport)
        try:
            form = await self._entrance.own_form(request, visitor.session)
            _require(page, caller)
            view = await page.handler(self._visit(request, caller, form))
        except Problem as problem:
            await self._deeds.refused(caller, page.does, page.path, problem, address)
            raise
        if view.deed is not None:
            await self._deeds.done(caller, page.does, view.deed, address)
        return self._paper.said(view, request, page, visitor)

    def _live(self, page: Page) -> Answer:
        async def handle(request: web.Request) -> web.StreamResponse:
            visitor = self._entrance.visitor(request)
            if visitor is None:
                raise Problem("no_key", _SIGNED_OUT)
            session = visitor.session

            async def make() -> str:
                caller = self._entrance.caller(session)
                if caller is None:
                    raise Problem("key_refused", "the key is disabled or expired")
                _require(page, caller)
                view = await page.handler(self._visit(request, caller))
                if isinstance(view, Away):
                    raise Problem("not_found", "the page has moved")
                return self._paper.live(view, request, page, SignedIn(session, caller))

            shows = f"{session.token} {request.path_qs}"
            return await self._streams.serve(request, shows, make, {**guard.HEADERS, **guard.PRIVATE})

        return handle

    def _visit(self, request: web.Request, caller: Caller, form: Mapping[str, str] | None = None) -> Visit:
        query = request.query
        if len(query) != len(set(query)):
            raise Problem("bad_request", "a parameter stands there twice")
        return Visit(caller, self._now_ms(), dict(request.match_info), dict(query), form or {})

    def _refusal(self, request: web.Request, problem: Problem) -> web.Response:
        return self._paper.refusal(request, problem, self._entrance.visitor(request))

    @web.middleware
    async def _misses(self, request: web.Request, handler: Answer) -> web.StreamResponse:
        """What fits no route."""
        try:
            return await handler(request)
        except web.HTTPMethodNotAllowed as error:
            headers = {"Allow": ", ".join(sorted(error.allowed_methods))}
            found = self._refusal(request, Problem("method_not_allowed", "the method does not fit", headers=headers))
        except web.HTTPException:
            found = self._refusal(request, Problem("not_found", "there is no such page"))
        self._observe("none", found.status, 0.0)
        return found


def _require(page: Page, caller: Caller) -> None:
    if not set(page.scopes) & set(caller.key.scopes):
        raise Problem("scope_missing", f"your key needs the scope {' or '.join(page.scopes)}")
