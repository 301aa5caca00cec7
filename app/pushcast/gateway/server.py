"""The server: routes to handlers, whatever goes wrong to a problem, and how long everything took."""

from __future__ import annotations

import logging
import secrets
import ssl
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

from aiohttp import web

from pushcast.gateway.access import APP_HEADER, Caller, Door
from pushcast.gateway.anonymous import DEVICE_HEADER, SECRET_HEADER, AnonymousDevices
from pushcast.gateway.connections import BoundedRunner, ConnectionBounds, address_of
from pushcast.gateway.http import NDJSON, Answer, Request
from pushcast.gateway.problems import CONTENT_TYPE, Problem, encoded
from pushcast.gateway.reading import Bodies
from pushcast.gateway.routes import NO_BODY, OpenRoute, Route
from pushcast.gateway.user_tokens import UserTokens

logger = logging.getLogger(__name__)

NOTHING_TOLD: Final[Mapping[str, str]] = {}

#: (route, status, seconds) of every request.
Observe = Callable[[str, int, float], None]


class GatewayServer:
    """Serves until `close`. Requests that are in progress then are answered, new ones refused."""

    def __init__(
        self,
        routes: Iterable[Route],
        open_routes: Iterable[OpenRoute],
        door: Door,
        tokens: UserTokens,
        anonymous: AnonymousDevices,
        *,
        request_seconds: float,
        observe: Observe,
        bounds: ConnectionBounds | None = None,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._door = door
        self._tokens = tokens
        self._anonymous = anonymous
        self._observe = observe
        self._now_ms = now_ms
        self._request_seconds = request_seconds
        self.bounds = bounds or ConnectionBounds()
        self.bodies = Bodies(request_seconds)
        self._app = web.Application(middlewares=[self._misses])
        for route in routes:
            self._app.router.add_route(route.method, route.path, self._keyed(route))
        for each in open_routes:
            self._app.router.add_get(each.path, self._opened(each))
        self._runner: BoundedRunner | None = None
        self.port = 0

    async def start(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> None:
        """Listens; `port` is the real one afterwards. Raises OSError when the port is taken."""
        self._runner = BoundedRunner(self._app, self.bounds, self._request_seconds)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port, ssl_context=tls, backlog=1024)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def close(self) -> None:
        """Stops listening, waits for what is in progress."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def _keyed(self, route: Route) -> Callable[[web.Request], Any]:
        async def handle(request: web.Request) -> web.Response:
            began = time.monotonic()
            body, limits = b"", {}
            try:
                now_ms = self._now_ms()
                address = address_of(request.transport)
                caller, told = self._identify(route, request, address, now_ms, began)
                if route.max_bytes != NO_BODY:
                    limit = route.max_lines_bytes if request.content_type == NDJSON else route.max_bytes
                    body = await self.bodies.read(request, limit)
                asked = _asked(request, body, now_ms, told)
                if route.items is not None:
                    asked = replace(asked, items=route.items(asked))
                limits = self._door.admit(caller, len(asked.items) or route.notifications, began)
                answered = await route.handler(asked, caller)
                response = _response(answered, limits)
            except Problem as problem:
                response = _refusal(problem, limits)
            except Exception:
                response = _failure(route.name)
            finally:
                self.bodies.release(body)
            self._observe(route.name, response.status, time.monotonic() - began)
            return response

        return handle

    def _identify(
        self, route: Route, request: web.Request, address: str, now_ms: int, now_seconds: float
    ) -> tuple[Caller, Mapping[str, str]]:
        """Who asks, and what of the path follows from it. Raises Problem."""
        authorization = request.headers.get("Authorization")
        if not route.by_app:
            caller = self._door.identify(authorization, address, now_ms, now_seconds)
            caller.may(route.scope)
            return caller, {}
        caller, app = self._door.app_of(request.headers.get(APP_HEADER), address, now_seconds)
        if route.anonymous and authorization is None and self._anonymous.taken:
            device = request.match_info.get("device") or request.headers.get(DEVICE_HEADER)
            return caller, self._anonymous.identify(app, device, request.headers.get(SECRET_HEADER))
        token = (authorization or "").removeprefix("Bearer ")
        return caller, {"app": app, "user": self._tokens.user_of(token, app, now_ms / 1000)}

    def _opened(self, route: OpenRoute) -> Callable[[web.Request], Any]:
        async def handle(request: web.Request) -> web.Response:
            began = time.monotonic()
            try:
                response = _response(route.handler(_asked(request, b"", self._now_ms())), {})
            except Problem as problem:
                response = _refusal(problem, {})
            except Exception:
                response = _failure(route.name)
            self._observe(route.name, response.status, time.monotonic() - began)
            return response

        return handle

    @web.middleware
    async def _misses(self, request: web.Request, handler: Callable[[web.Request], Any]) -> web.StreamResponse:
        """What fits no route."""
        try:
            found: web.StreamResponse = await handler(request)
        except web.HTTPMethodNotAllowed as error:
            allowed = ", ".join(sorted(error.allowed_methods))
            detail = f"{request.method[:16]} does not fit; allowed: {allowed}"
            found = _refusal(Problem("method_not_allowed", detail, headers={"Allow": allowed}), {})
        except web.HTTPException:
            found = _refusal(Problem("not_found", "there is nothing at this path"), {})
        else:
            return found
        self._observe("none", found.status, 0.0)
        return found


def _asked(request: web.Request, body: bytes, now_ms: int, told: Mapping[str, str] = NOTHING_TOLD) -> Request:
    headers: dict[str, str] = {}
    for name, value in request.headers.items():
        headers[name.lower()] = value
    return Request(request.method, body, {**request.match_info, **told}, _query(request), headers, now_ms)


def _query(request: web.Request) -> Mapping[str, str]:
    found = request.query
    if len(found) != len(set(found)):
        raise Problem("bad_request", "a parameter stands there twice")
    return found


def _response(answered: Answer, limits: Mapping[str, str]) -> web.Response:
    headers = {**limits, **answered.headers}
    return web.Response(status=answered.status, body=answered.body, content_type=answered.content_type, headers=headers)


def _refusal(problem: Problem, limits: Mapping[str, str]) -> web.Response:
    # Equal bodies for every refused key: what is wrong with it is nobody's business.
    instance = None if problem.status == 401 else f"/v1/requests/{secrets.token_hex(8)}"
    response = web.Response(
        status=problem.status,
        body=encoded(problem, instance),
        content_type=CONTENT_TYPE,
        headers={**limits, **problem.headers},
    )
    if problem.headers.get("Connection") == "close" or problem.name in ("request_timeout", "stopping"):
        response.force_close()
    return response


def _failure(route: str) -> web.Response:
    number = secrets.token_hex(8)
    logger.exception("request %s to %s failed", number, route)
    problem = Problem("internal_error", f"request {number} failed; the gateway's log says why")
    return web.Response(status=500, body=encoded(problem, f"/v1/requests/{number}"), content_type=CONTENT_TYPE)
