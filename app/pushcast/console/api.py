"""The HTTP API's own calls, as a page makes them: what a page shows or does, a program can have or do as well."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import orjson

from pushcast.gateway.access import Caller
from pushcast.gateway.http import JSON, Request
from pushcast.gateway.problems import Problem
from pushcast.gateway.routes import Route

_NOTHING: Final[Mapping[str, str]] = {}


class Api:
    """Calls by their names in /openapi.json.

    A page's own scope says who may open it. The calls still see the key: what it may not reach (apps, classes, lanes,
    topics) is refused here as it is there.
    """

    def __init__(self, routes: Iterable[Route], now_ms: Callable[[], int]) -> None:
        self._routes = {route.name: route for route in routes}
        self._now_ms = now_ms

    async def ask(
        self,
        name: str,
        caller: Caller,
        *,
        path: Mapping[str, str] = _NOTHING,
        query: Mapping[str, str] = _NOTHING,
        body: Mapping[str, Any] | None = None,
    ) -> Any:
        """What the call answers, read from its JSON. Raises Problem."""
        route = self._routes.get(name)
        if route is None:
            raise Problem("not_yet_available", f"this release has no call {name}")
        try:
            sent = b"" if body is None else orjson.dumps(body)
        except TypeError:
            raise Problem("invalid_json", "a text is no Unicode: half of a surrogate pair") from None
        headers = {} if body is None else {"content-type": JSON}
        request = Request(route.method, sent, path, query, headers, self._now_ms())
        return orjson.loads((await route.handler(request, caller)).body)
