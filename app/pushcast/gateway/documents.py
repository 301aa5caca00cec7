"""What is answered without a key: health, `/openapi.json`, `/problems/<name>`."""

from __future__ import annotations

from collections.abc import Callable

from pushcast.gateway import problems
from pushcast.gateway.http import Answer, Request, answer
from pushcast.gateway.problems import Problem
from pushcast.gateway.routes import OpenRoute


class Documents:
    """`ready`: what is wrong, one sentence each; told to nobody here. `document`: of all calls, these included."""

    def __init__(self, ready: Callable[[], list[str]], document: Callable[[], bytes]) -> None:
        self._ready = ready
        self._document = document

    def health(self, _: Request) -> Answer:
        """GET /v1/health: 200 or 503, without detail: it needs no key."""
        failing = bool(self._ready())
        return answer(503 if failing else 200, {"status": "failing" if failing else "ok"})

    def openapi(self, _: Request) -> Answer:
        """GET /openapi.json."""
        return Answer(200, self._document())

    def problem(self, request: Request) -> Answer:
        """GET /problems/{name}: what the type means, and what to do."""
        found = problems.page(request.path["name"])
        if found is None:
            raise Problem("not_found", "there is no such problem type")
        return Answer(200, found)

    def routes(self) -> list[OpenRoute]:
        """Its calls."""
        return [
            OpenRoute("/v1/health", "health", self.health, "Whether this gateway takes requests"),
            OpenRoute("/openapi.json", "openapi", self.openapi, "This document"),
            OpenRoute("/problems/{name}", "problem", self.problem, "What a problem type means and what to do"),
        ]
