"""The entrance: who is signed in, and the pages where somebody signs in and out."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from aiohttp import web

from pushcast.console import guard
from pushcast.console.forms import MAX_FORM_BYTES, read_form
from pushcast.console.paper import Paper, see_other
from pushcast.console.proxy import TrustedProxy
from pushcast.console.session import Session, Sessions, SignedIn, is_token
from pushcast.gateway.access import Caller, Door
from pushcast.gateway.connections import address_of
from pushcast.gateway.problems import Problem
from pushcast.gateway.reading import Bodies
from pushcast.wire.control.api_keys import Scope

CONSOLE_SCOPES: Final = (Scope.CONSOLE_VIEW, Scope.CONSOLE_OPERATE, Scope.CONSOLE_SEND)
SIGN_IN: Final = "/sign-in"
TOKEN: Final = "_token"  # noqa: S105 - a field's name


class Entrance:
    """A visitor shows a key once, and a cookie from then on; or a proxy in front says who it is."""

    def __init__(
        self,
        door: Door,
        sessions: Sessions,
        paper: Paper,
        bodies: Bodies,
        *,
        secure: bool,
        proxy: TrustedProxy | None,
        now_ms: Callable[[], int],
    ) -> None:
        """`secure`: browsers reach the console by TLS, so the cookie must never travel without."""
        self._door = door
        self._sessions = sessions
        self._paper = paper
        self._bodies = bodies
        self._secure = secure
        self._proxy = proxy
        self._cookie = "__Host-pc" if secure else "pc"
        self._now_ms = now_ms

    def visitor(self, request: web.Request) -> SignedIn | None:
        """Who sends it. None: nobody who is signed in, or the key opens nothing any more."""
        session = self._session(request)
        caller = None if session is None else self.caller(session)
        return None if session is None or caller is None else SignedIn(session, caller)

    def caller(self, session: Session) -> Caller | None:
        """The session's key as it is now. None: it was disabled, has expired or was rotated away."""
        if session.person:
            return self._door.trusted(session.presented.id, session.person)
        return self._door.known(session.presented, self._now_ms())

    async def form(self, request: web.Request) -> dict[str, str]:
        """The fields of a form, from wherever it comes. Raises Problem."""
        body = await self._bodies.read(request, MAX_FORM_BYTES)
        try:
            return read_form(request.content_type, body)
        finally:
            self._bodies.release(len(body))

    async def own_form(self, request: web.Request, session: Session) -> dict[str, str]:
        """The fields of a form that a page of this session has sent, without its token. Raises Problem."""
        _require_own_page(request)
        form = await self.form(request)
        if not is_token(session, form.pop(TOKEN, "")):
            raise Problem("foreign_form", "the form does not carry the token of your session")
        return form

    async def show(self, request: web.Request) -> web.Response:
        """GET /sign-in."""
        then = _local(request.query.get("next", "/"))
        return self._paper.html("sign_in.html", {"next": then, "problem": None, "page": None})

    async def sign_in(self, request: web.Request) -> web.Response:
        """POST /sign-in. Raises Problem for a form from elsewhere; a wrong key is told on the page."""
        _require_own_page(request)
        form = await self.form(request)
        then = _local(form.get("next", "/"))
        now_ms = self._now_ms()
        try:
            address = address_of(request.transport)
            caller, presented = self._door.enter(form.get("key", "").strip(), address, now_ms, time.monotonic())
            if not set(CONSOLE_SCOPES) & set(caller.key.scopes):
                raise Problem("scope_missing", f"the key needs one of the scopes {', '.join(CONSOLE_SCOPES)}")
        except Problem as problem:
            context = {"next": then, "problem": problem, "page": None}
            return self._paper.html("sign_in.html", context, problem.status)
        response = see_other(then)
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

    async def sign_out(self, request: web.Request) -> web.Response:
        """POST /sign-out. Raises Problem for a form that no page of the session has sent."""
        visitor = self.visitor(request)
        if visitor is not None:
            await self.own_form(request, visitor.session)
        response = see_other(SIGN_IN)
        response.del_cookie(self._cookie, path="/", secure=self._secure, httponly=True, samesite="Strict")
        return response

    def _session(self, request: web.Request) -> Session | None:
        if (proxy := self._proxy) is not None:
            person = proxy.who(address_of(request.transport), request.headers.getall(proxy.header, []))
            if person is not None:
                return self._sessions.of_person(person, proxy.key_id)
        return self._sessions.read(request.cookies.get(self._cookie), self._now_ms())


def _require_own_page(request: web.Request) -> None:
    if not guard.same_origin({name.lower(): value for name, value in request.headers.items()}):
        raise Problem("foreign_form", "the form was not sent from a page of this console")


def _local(path: str) -> str:
    """A path of this console; the first page for anything else."""
    inside = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
    return path if inside else "/"
