"""The server: who is signed in, where a form comes from, whatever goes wrong as a page, and a record of each action."""

from __future__ import annotations

import logging
import secrets
import ssl
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final
from urllib.parse import quote

from aiohttp import web

from pushcast.console import guard
from pushcast.console.deeds import Deeds
from pushcast.console.forms import MAX_FORM_BYTES, read_form
from pushcast.console.live import LiveStreams
from pushcast.console.proxy import TrustedProxy
from pushcast.console.render import Asset, Renderer
from pushcast.console.session import Session, Sessions, is_token
from pushcast.console.visit import Away, Page, View, Visit
from pushcast.gateway.access import Caller, Door
from pushcast.gateway.connections import BoundedRunner, ConnectionBounds, address_of
from pushcast.gateway.problems import Problem
from pushcast.gateway.reading import Bodies
from pushcast.wire.api_keys import Scope

logger = logging.getLogger(__name__)

CONSOLE_SCOPES: Final = (Scope.CONSOLE_VIEW, Scope.CONSOLE_OPERATE, Scope.CONSOLE_SEND)
SIGN_IN: Final = "/sign-in"
TOKEN: Final = "_token"  # noqa: S105 - a field's name

#: (page, status, seconds) of every request.
Observe = Callable[[str, int, float], None]
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


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
        self._door = door
        self._sessions = sessions
        self._deeds = deeds
        self._secure = secure
        self._proxy = proxy
        self._cookie = "__Host-pc" if secure else "pc"
        self._observe = observe
        self._now_ms = now_ms
        self._request_seconds = request_seconds
        self._bounds = bounds or ConnectionBounds()
        self._bodies = Bodies(request_seconds)
        self._renderer = Renderer()
        self._streams = LiveStreams()
        self._runner: BoundedRunner | None = None
        self.port = 0
        self._app = web.Application(middlewares=[self._misses])
        add = self._app.router.add_route
        for page in pages:
            add(page.method, page.path, self._answered(page.name, self._page(page)))
            if page.live:
                add("GET", f"/live{page.path}", self._answered(f"live_{page.name}", self._live(page)))
        add("GET", SIGN_IN, self._answered("sign_in", self._show_sign_in))
        add("POST", SIGN_IN, self._answered("sign_in", self._sign_in))
        add("POST", "/sign-out", self._answered("sign_out", self._sign_out))
        for asset in self._renderer.assets.values():
            add("GET", asset.path, self._answered("static", _file(asset)))

    async def start(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> None:
        """Listens; `port` is the real one afterwards. Raises OSError when the port is taken."""
        self._runner = BoundedRunner(self._app, self._bounds, self._request_seconds)
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
            found = self._signed_in(request)
            if found is None:
                if page.method == "GET":
                    return _see_other(f"{SIGN_IN}?next={quote(request.path_qs, safe='')}")
                raise Problem("no_key", "you are signed out; sign in again")
            session, caller = found
            if page.method == "GET":
                return await self._shown(request, page, session, caller)
            return await self._done(request, page, session, caller)

        return handle

    async def _shown(self, request: web.Request, page: Page, session: Session, caller: Caller) -> web.Response:
        _require(page, caller)
        view = await page.handler(self._visit(request, caller))
        return self._said(view, request, page, session, caller)

    async def _done(self, request: web.Request, page: Page, session: Session, caller: Caller) -> web.Response:
        """A form. Whatever it does, or is refused, is written down before the answer."""
        address = address_of(request.transport)
        what = page.path
        try:
            if not guard.same_origin(_headers(request)):
                raise Problem("foreign_form", "the form was not sent from a page of this console")
            form = await self._form(request)
            if not is_token(session, form.pop(TOKEN, "")):
                raise Problem("foreign_form", "the form does not carry the token of your session")
            _require(page, caller)
            view = await page.handler(self._visit(request, caller, form))
        except Problem as problem:
            await self._deeds.refused(caller, page.does, what, problem, address)
            raise
        if view.what:
            await self._deeds.done(caller, page.does, view.what, address)
        return self._said(view, request, page, session, caller)

    def _live(self, page: Page) -> Answer:
        async def handle(request: web.Request) -> web.StreamResponse:
            found = self._signed_in(request)
            if found is None:
                raise Problem("no_key", "you are signed out; sign in again")
            session, _ = found

            async def make() -> str:
                caller = self._caller(session)
                if caller is None:
                    raise Problem("key_refused", "the key is disabled or expired")
                _require(page, caller)
                view = await page.handler(self._visit(request, caller))
                if isinstance(view, Away):
                    raise Problem("not_found", "the page has moved")
                return self._renderer.live(view.template, self._context(view, request, page, session, caller))

            shows = f"{session.token} {request.path_qs}"
            return await self._streams.serve(request, shows, make, {**guard.HEADERS, **guard.PRIVATE})

        return handle

    async def _show_sign_in(self, request: web.Request) -> web.Response:
        return self._html(
            "sign_in.html", {"next": _local(request.query.get("next", "/")), "problem": None, "page": None}
        )

    async def _sign_in(self, request: web.Request) -> web.Response:
        if not guard.same_origin(_headers(request)):
            raise Problem("foreign_form", "the form was not sent from a page of this console")
        form = await self._form(request)
        then = _local(form.get("next", "/"))
        now_ms, now_seconds = self._now_ms(), time.monotonic()
        try:
            address = address_of(request.transport)
            caller, presented = self._door.enter(form.get("key", "").strip(), address, now_ms, now_seconds)
            if not set(CONSOLE_SCOPES) & set(caller.key.scopes):
                raise Problem("scope_missing", f"the key needs one of the scopes {', '.join(CONSOLE_SCOPES)}")
        except Problem as problem:
            context = {"next": then, "problem": problem, "page": None}
            return self._html("sign_in.html", context, problem.status)
        response = _see_other(then)
        response.set_cookie(
            self._cookie,
            self._sessions.cookie(presented, now_ms),
            max_age=round(self._sessions.seconds),
            httponly=True,
            secure=self._secure,
            samesite="Strict",
            path="/",
        )
        return response

    async def _sign_out(self, request: web.Request) -> web.Response:
        found = self._signed_in(request)
        form = await self._form(request)
        if found is not None and not (guard.same_origin(_headers(request)) and is_token(found[0], form.get(TOKEN, ""))):
            raise Problem("foreign_form", "the form does not carry the token of your session")
        response = _see_other(SIGN_IN)
        response.del_cookie(self._cookie, path="/", secure=self._secure, httponly=True, samesite="Strict")
        return response

    def _signed_in(self, request: web.Request) -> tuple[Session, Caller] | None:
        session = self._session(request)
        caller = None if session is None else self._caller(session)
        return None if session is None or caller is None else (session, caller)

    def _session(self, request: web.Request) -> Session | None:
        if (proxy := self._proxy) is not None:
            person = proxy.who(address_of(request.transport), request.headers.getall(proxy.header, []))
            if person is not None:
                return self._sessions.of_person(person, proxy.key_id)
        return self._sessions.read(request.cookies.get(self._cookie), self._now_ms())

    def _caller(self, session: Session) -> Caller | None:
        if session.person:
            return self._door.trusted(session.presented.id, session.person)
        return self._door.known(session.presented, self._now_ms())

    async def _form(self, request: web.Request) -> dict[str, str]:
        body = await self._bodies.read(request, MAX_FORM_BYTES)
        try:
            return read_form(request.content_type, body)
        finally:
            self._bodies.release(len(body))

    def _visit(self, request: web.Request, caller: Caller, form: Mapping[str, str] | None = None) -> Visit:
        query = request.query
        if len(query) != len(set(query)):
            raise Problem("bad_request", "a parameter stands there twice")
        return Visit(caller, self._now_ms(), dict(request.match_info), dict(query), form or {})

    def _said(
        self, view: View | Away, request: web.Request, page: Page, session: Session, caller: Caller
    ) -> web.Response:
        if isinstance(view, Away):
            return _see_other(view.location)
        return self._html(view.template, self._context(view, request, page, session, caller), view.status)

    def _context(
        self, view: View, request: web.Request, page: Page | None, session: Session, caller: Caller
    ) -> dict[str, Any]:
        path = request.path_qs.removeprefix("/live") if page is not None and page.live else None
        return {
            **view.context,
            "page": None if page is None else page.name,
            "live_url": None if path is None else f"/live{path}",
            "token": session.token,
            "who": caller.key.label or caller.id,
            "scopes": frozenset(caller.key.scopes),
            "now_ms": self._now_ms(),
        }

    def _html(self, template: str, context: Mapping[str, Any], status: int = 200) -> web.Response:
        return web.Response(
            status=status,
            text=self._renderer.page(template, context),
            content_type="text/html",
            charset="utf-8",
            headers={**guard.HEADERS, **guard.PRIVATE},
        )

    def _refusal(self, request: web.Request, problem: Problem) -> web.Response:
        found = self._signed_in(request)
        view = View("problem.html", {"problem": problem}, problem.status)
        if found is None:
            response = self._html(view.template, {**view.context, "page": None}, view.status)
        else:
            response = self._html(view.template, self._context(view, request, None, *found), view.status)
        response.headers.update(problem.headers)
        return response

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


def _headers(request: web.Request) -> dict[str, str]:
    return {name.lower(): value for name, value in request.headers.items()}


def _local(path: str) -> str:
    """A path of this console; the first page for anything else."""
    inside = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
    return path if inside else "/"


def _see_other(location: str) -> web.Response:
    return web.Response(status=303, headers={**guard.HEADERS, **guard.PRIVATE, "Location": location})


def _file(asset: Asset) -> Answer:
    async def handle(request: web.Request) -> web.StreamResponse:
        return web.Response(
            body=asset.body,
            content_type=asset.content_type,
            charset="utf-8",
            headers={**guard.HEADERS, **guard.FOR_EVER},
        )

    return handle
