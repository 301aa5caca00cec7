"""The server: routes to handlers, whatever goes wrong to a problem, and how long everything took."""

from __future__ import annotations

import logging
import secrets
import ssl
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Final

import msgspec
from aiohttp import web

from pushcast.gateway.access import APP_HEADER, Caller, Door
from pushcast.gateway.anonymous import DEVICE_HEADER, SECRET_HEADER, AnonymousDevices
from pushcast.gateway.connections import BoundedRunner, ConnectionBounds, address_of
from pushcast.gateway.cors import CLOSED, ORIGIN, Cors
from pushcast.gateway.http import NDJSON, Answer, Request, takes_json, wants_lines
from pushcast.gateway.lines import LinesTaken
from pushcast.gateway.problems import CONTENT_TYPE, Problem, encoded
from pushcast.gateway.quick import Quick, Quotas
from pushcast.gateway.reading import Bodies
from pushcast.gateway.routes import NO_BODY, OpenRoute, Route
from pushcast.gateway.user_tokens import UserTokens
from pushcast.observe.request_spans import BeginSpan, RequestSpan, passed_on
from pushcast.wire.headers import TRACEPARENT

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
        begin_span: BeginSpan = passed_on,
        quotas: Quotas | None = None,
        cors: Cors = CLOSED,
    ) -> None:
        """`quotas`: None: those of `door`, which count here alone."""
        self.cors = cors
        self._door = door
        self._tokens = tokens
        self._anonymous = anonymous
        self.observe = observe
        self._now_ms = now_ms
        self.begin_span = begin_span
        self.quotas: Quotas = door if quotas is None else quotas
        self.bounds = bounds or ConnectionBounds()
        self.bodies = Bodies()
        self.take_within(request_seconds)
        self._app = web.Application(middlewares=[self._misses])
        routes = list(routes)
        for route in routes:
            self._app.router.add_route(route.method, route.path, self._keyed(route))
        for each in open_routes:
            self._app.router.add_get(each.path, self._opened(each))
        self._quick = Quick(routes, self, now_ms)
        self._runner: BoundedRunner | None = None
        self.port = 0

    def take_within(self, seconds: float) -> None:
        """In which the head and the body of each request must have come, from the next one on."""
        self.bounds.head_seconds = self.bodies.seconds = seconds

    async def start(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> None:
        """Listens; `port` is the real one afterwards. Raises OSError when the port is taken."""
        self._runner = BoundedRunner(self._app, self.bounds, self._quick)
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
        async def handle(request: web.Request) -> web.StreamResponse:
            began = time.monotonic()
            body, span = b"", None
            limits: Mapping[str, str] = {}
            response: web.StreamResponse
            status: int | None = None  # where it is not the response's
            try:
                now_ms = self._now_ms()
                address = address_of(request.transport)
                caller, told = self.identify(route, request.headers, request.match_info, address, now_ms, began)
                span = self.begin_span(route.method, route.path, request.headers.get(TRACEPARENT))
                is_lines = route.max_lines_bytes != NO_BODY and request.content_type == NDJSON
                bulk, accept = None, request.headers.get("Accept")
                if is_lines and route.lines is not None:
                    bulk = route.lines(_asked(request, b"", now_ms, told, span), caller)
                if bulk is not None:
                    lines = LinesTaken(self.bodies, self.quotas, request, route, bulk, caller, began)
                    if wants_lines(accept):
                        response, status = await lines.streamed(self.cors.headers(request.headers.get(ORIGIN)))
                    else:
                        answered, limits = await lines.answered()
                        response = _response(answered, limits, closes="Connection" in answered.headers)
                elif not takes_json(accept):
                    raise Problem("not_acceptable", "only lines that are written as they come are answered by lines")
                else:
                    if route.max_bytes != NO_BODY:
                        body = await self.bodies.read(request, route.max_lines_bytes if is_lines else route.max_bytes)
                    asked = _asked(request, body, now_ms, told, span)
                    if route.items is not None:
                        asked = msgspec.structs.replace(asked, items=route.items(asked))
                    limits = await self.quotas.admitted(caller, len(asked.items) or route.notifications, began)
                    response = _response(await route.handler(asked, caller), limits)
            except Problem as problem:
                response = _response(self.refused(problem), limits, closes=problem.closes)
            except Exception:
                response = _response(self.failed(route.name), limits)
            finally:
                self.bodies.release(len(body))
            status = status or response.status
            if span is not None:
                span.ends(status)
            self.observe(route.name, status, time.monotonic() - began)
            return response

        return handle

    def identify(
        self, route: Route, headers: Mapping[str, str], path: Mapping[str, str], address: str, now_ms: int, now: float
    ) -> tuple[Caller, Mapping[str, str]]:
        """Who asks, and what of the path follows from it. Raises Problem."""
        accept = headers.get("Accept")
        if not takes_json(accept) and not (route.lines is not None and wants_lines(accept)):
            raise Problem("not_acceptable", "answers are application/json and application/problem+json")
        authorization = headers.get("Authorization")
        if not route.by_app:
            caller = self._door.identify(authorization, address, now_ms, now)
            caller.may(route.scope)
            return caller, NOTHING_TOLD
        caller, app = self._door.app_of(headers.get(APP_HEADER), address, now)
        if route.anonymous and authorization is None and self._anonymous.taken:
            device = path.get("device") or headers.get(DEVICE_HEADER)
            return caller, self._anonymous.identify(app, device, headers.get(SECRET_HEADER))
        token = (authorization or "").removeprefix("Bearer ")
        try:
            return caller, {"app": app, "user": self._tokens.user_of(token, app, now_ms / 1000)}
        except Problem:
            self._door.count_wrong(address, now)
            raise

    def refused(self, problem: Problem) -> Answer:
        """Equal bodies for every refused key: what is wrong with it is nobody's business."""
        instance = None if problem.status == 401 else f"/v1/requests/{secrets.token_hex(8)}"
        return Answer(problem.status, encoded(problem, instance), problem.headers, CONTENT_TYPE)

    def failed(self, route: str) -> Answer:
        """Call it where the exception is handled: it is logged under a number that the client gets."""
        number = secrets.token_hex(8)
        logger.exception("request %s to %s failed", number, route)
        problem = Problem("internal_error", f"request {number} failed; the gateway's log says why")
        return Answer(500, encoded(problem, f"/v1/requests/{number}"), {}, CONTENT_TYPE)

    def _opened(self, route: OpenRoute) -> Callable[[web.Request], Any]:
        async def handle(request: web.Request) -> web.Response:
            began = time.monotonic()
            try:
                response = _response(route.handler(_asked(request, b"", self._now_ms())), {})
            except Problem as problem:
                response = _response(self.refused(problem), {})
            except Exception:
                response = _response(self.failed(route.name), {})
            self.observe(route.name, response.status, time.monotonic() - began)
            return response

        return handle

    @web.middleware
    async def _misses(self, request: web.Request, handler: Callable[[web.Request], Any]) -> web.StreamResponse:
        """What fits no route; and of every answer, which pages may read it."""
        try:
            found: web.StreamResponse = await handler(request)
        except web.HTTPMethodNotAllowed as error:
            found = _response(self._of_no_method(request, error.allowed_methods), {})
            self.observe("preflight" if found.status == 204 else "none", found.status, 0.0)
        except web.HTTPException:
            found = _response(self.refused(Problem("not_found", "there is nothing at this path")), {})
            self.observe("none", found.status, 0.0)
        found.headers.update(self.cors.headers(request.headers.get(ORIGIN)))
        return found

    def _of_no_method(self, request: web.Request, methods: Collection[str]) -> Answer:
        preflight = self.cors.preflight(request.headers, methods) if request.method == "OPTIONS" else None
        if preflight is not None:
            return preflight
        allowed = ", ".join(sorted(methods))
        detail = f"{request.method[:16]} does not fit; allowed: {allowed}"
        return self.refused(Problem("method_not_allowed", detail, headers={"Allow": allowed}))


def _asked(
    request: web.Request,
    body: bytes,
    now_ms: int,
    told: Mapping[str, str] = NOTHING_TOLD,
    span: RequestSpan | None = None,
) -> Request:
    path = {**request.match_info, **told}
    return Request(request.method, body, path, _query(request), request.headers, now_ms, span=span)


def _query(request: web.Request) -> Mapping[str, str]:
    found = request.query
    if len(found) != len(set(found)):
        raise Problem("bad_request", "a parameter stands there twice")
    return found


def _response(answered: Answer, limits: Mapping[str, str], closes: bool = False) -> web.Response:
    headers = {**limits, **answered.headers}
    response = web.Response(
        status=answered.status, body=answered.body, content_type=answered.content_type, headers=headers
    )
    if closes:
        response.force_close()
    return response
