"""What the console says back: pages, files, ways to another page. Each has the headers that keep other sites out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web

from pushcast.console import guard
from pushcast.console.render import Asset, Renderer
from pushcast.console.session import SignedIn
from pushcast.console.visit import Away, Page, View
from pushcast.gateway.problems import Problem

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Paper:
    """Makes answers out of views. `now_ms`: pages tell times by it."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self._renderer = Renderer()
        self.assets: Mapping[str, Asset] = self._renderer.assets

    def html(self, template: str, context: Mapping[str, Any], status: int = 200) -> web.Response:
        """A whole page."""
        return web.Response(
            status=status,
            text=self._renderer.page(template, context),
            content_type="text/html",
            charset="utf-8",
            headers={**guard.HEADERS, **guard.PRIVATE},
        )

    def said(self, view: View | Away, request: web.Request, page: Page, visitor: SignedIn) -> web.Response:
        """The answer of a page to somebody who is signed in."""
        if isinstance(view, Away):
            return see_other(view.location)
        return self.html(view.template, self._context(view, request, page, visitor), view.status)

    def live(self, view: View, request: web.Request, page: Page, visitor: SignedIn) -> str:
        """The part of a page that is kept up to date."""
        return self._renderer.live(view.template, self._context(view, request, page, visitor))

    def refusal(self, request: web.Request, problem: Problem, visitor: SignedIn | None) -> web.Response:
        """What went wrong, as a page that says what to do."""
        context: Mapping[str, Any] = {"problem": problem, "page": None}
        if visitor is not None:
            context = self._context(View("problem.html", context), request, None, visitor)
        response = self.html("problem.html", context, problem.status)
        response.headers.update(problem.headers)
        return response

    def _context(self, view: View, request: web.Request, page: Page | None, visitor: SignedIn) -> dict[str, Any]:
        path = request.path_qs.removeprefix("/live") if page is not None and page.live else None
        key = visitor.caller.key
        return {
            **view.context,
            "page": None if page is None else page.name,
            "live_url": None if path is None else f"/live{path}",
            "token": visitor.session.token,
            "who": key.label or visitor.caller.id,
            "scopes": frozenset(key.scopes),
            "now_ms": self._now_ms(),
        }


def see_other(location: str) -> web.Response:
    """To another page."""
    return web.Response(status=303, headers={**guard.HEADERS, **guard.PRIVATE, "Location": location})


def file(asset: Asset) -> Answer:
    """A file that a browser may keep for ever."""

    async def handle(_: web.Request) -> web.StreamResponse:
        return web.Response(
            body=asset.body,
            content_type=asset.content_type,
            charset="utf-8",
            headers={**guard.HEADERS, **guard.FOR_EVER},
        )

    return handle
