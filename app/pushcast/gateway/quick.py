"""The quick way of a request that came whole: no task, no body to wait for. Kafka's word ends it.

A post of one notification took 210 us of the loop's time, of which its own work was a quarter. What this way does not
take (a body that comes in parts, a coding, a query) goes the usual way; both answer alike.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, Protocol

from aiohttp.http import RawRequestMessage

from pushcast.gateway.access import Caller
from pushcast.gateway.connections import Respond
from pushcast.gateway.cors import ORIGIN
from pushcast.gateway.http import Answer, PendingAnswer, Request
from pushcast.gateway.problems import Problem
from pushcast.gateway.reading import Bodies, too_many
from pushcast.gateway.routes import Route
from pushcast.observe.request_spans import BeginSpan, RequestSpan
from pushcast.wire.headers import TRACEPARENT


class Payload(Protocol):
    """What it needs of a body that is there as a whole."""

    total_bytes: int

    def read_nowait(self, n: int = -1) -> bytes: ...


class Quotas(Protocol):
    """Who has room for how much: `access.Door`, or `shared_quotas.SharedQuotas`. All but `at_once` raise Problem."""

    def at_once(self, caller: Caller, notifications: int, now: float, /) -> bool: ...
    def admit(self, caller: Caller, notifications: int, now: float, /) -> dict[str, str]: ...
    async def admitted(
        self, caller: Caller, notifications: int, now: float, requests: int = 1, /
    ) -> dict[str, str]: ...


class RequestSteps(Protocol):
    """What the server does with every request, whichever way it comes. All raise Problem."""

    bodies: Bodies
    begin_span: BeginSpan
    quotas: Quotas

    def identify(
        self, route: Route, headers: Mapping[str, str], path: Mapping[str, str], address: str, now_ms: int, now: float
    ) -> tuple[Caller, Mapping[str, str]]: ...
    def refused(self, problem: Problem) -> Answer: ...
    def failed(self, route: str) -> Answer: ...
    def observe(self, route: str, status: int, seconds: float) -> None: ...


def _is_special(headers: Mapping[str, str]) -> bool:
    """Whether they say that a request is not plain. A browser's page sends Origin: its answer needs more headers."""
    return "Content-Encoding" in headers or "Expect" in headers or "Upgrade" in headers or ORIGIN in headers


class _Asked(NamedTuple):
    """A request on its quick way."""

    route: Route
    began: float
    held_bytes: int
    respond: Respond
    span: RequestSpan | None = None


#: Answers a request: with what, why not as asked, and the headers that tell what is left.
_End = Callable[[_Asked, Answer, Problem | None, Mapping[str, str]], None]


class _Awaited:
    """A request that Kafka's word or the time ends, whichever comes first.

    It refers to nothing that refers to it once it is over: what a function refers to that calls itself off would stay
    until Python's collector finds it.
    """

    __slots__ = ("_asked", "_end", "_limits", "_pending", "_steps", "_timer")

    def __init__(
        self, steps: RequestSteps, asked: _Asked, pending: PendingAnswer, limits: Mapping[str, str], end: _End
    ) -> None:
        self._steps = steps
        self._asked = asked
        self._pending = pending
        self._limits = limits
        self._end = end
        self._timer = pending.future.get_loop().call_later(pending.seconds, self._over)
        pending.future.add_done_callback(self._said)

    def _said(self, _: object) -> None:
        self._timer.cancel()
        self._answer()

    def _over(self) -> None:
        self._pending.future.remove_done_callback(self._said)
        self._answer()

    def _answer(self) -> None:
        problem: Problem | None = None
        try:
            answered = self._pending.end()
        except Problem as found:
            problem, answered = found, self._steps.refused(found)
        except Exception:
            answered = self._steps.failed(self._asked.route.name)
        self._end(self._asked, answered, problem, self._limits)


class Quick:
    """Takes requests to the routes that have a handler `at_once`."""

    def __init__(self, routes: Iterable[Route], steps: RequestSteps, now_ms: Callable[[], int]) -> None:
        self._routes = {(route.method, route.path): route for route in routes if route.at_once is not None}
        self._steps = steps
        self._now_ms = now_ms

    def __call__(self, message: RawRequestMessage, payload: Payload, address: str, respond: Respond) -> bool:
        """Whether it takes this request: then `respond` is called once, now or later."""
        route = self._routes.get((message.method, message.path))
        headers = message.headers
        if route is None or payload.total_bytes > route.max_bytes or _is_special(headers):
            return False
        began = time.monotonic()
        asked = _Asked(route, began, payload.total_bytes, respond)
        self._steps.bodies.hold(asked.held_bytes)
        limits: dict[str, str] = {}
        try:
            now_ms = self._now_ms()
            caller, _ = self._steps.identify(route, headers, {}, address, now_ms, began)
            if not self._steps.quotas.at_once(caller, route.notifications, began):
                self._steps.bodies.release(asked.held_bytes)
                return False  # another gateway is asked first
            span = self._steps.begin_span(route.method, route.path, headers.get(TRACEPARENT))
            asked = asked._replace(span=span) if span is not None else asked
            request = Request(message.method, payload.read_nowait(), {}, {}, headers, now_ms, span=span)
            if self._steps.bodies.full:
                raise too_many()
            limits = self._steps.quotas.admit(caller, route.notifications, began)
            assert route.at_once is not None
            pending = route.at_once(request, caller)
        except Problem as problem:
            self._end(asked, self._steps.refused(problem), problem, limits)
        except Exception:
            self._end(asked, self._steps.failed(route.name), None, limits)
        else:
            _Awaited(self._steps, asked, pending, limits, self._end)
        return True

    def _end(self, asked: _Asked, answered: Answer, problem: Problem | None, limits: Mapping[str, str]) -> None:
        self._steps.bodies.release(asked.held_bytes)
        asked.respond(answered, problem, limits)
        if asked.span is not None:
            asked.span.ends(answered.status)
        self._steps.observe(asked.route.name, answered.status, time.monotonic() - asked.began)
