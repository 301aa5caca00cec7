"""A request for a page, and what the page says, without the server and without HTML."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

from pushcast.gateway.access import Caller
from pushcast.wire.control.api_keys import Scope


class Visit(NamedTuple):
    """`path`: placeholders. `form`: of a POST. `now_ms`: milliseconds since the epoch."""

    caller: Caller
    now_ms: int
    path: Mapping[str, str] = {}
    query: Mapping[str, str] = {}
    form: Mapping[str, str] = {}

    def may(self, scope: Scope) -> bool:
        """Whether the key has the scope, so that a page leaves out what its visitor cannot do."""
        return scope in self.caller.key.scopes


class Deed(NamedTuple):
    """What a form did: on what, and how that stood before and after. Never a user, never content."""

    what: str
    before: str = ""
    after: str = ""


class View(NamedTuple):
    """A page: its template and what that needs. `deed`: what a form did, if it did something."""

    template: str
    context: Mapping[str, Any] = {}
    status: int = 200
    deed: Deed | None = None


class Away(NamedTuple):
    """To another page, after a form was taken: reloading it sends nothing again."""

    location: str
    deed: Deed | None = None


Handler = Callable[[Visit], Awaitable[View | Away]]


class Page(NamedTuple):
    """`scopes`: one of them is enough. `live`: the page's block `live` is sent again when it changes.

    `does`: what its form does, for the record of actions; empty for a page that only shows.
    """

    method: str
    path: str
    name: str
    scopes: tuple[Scope, ...]
    handler: Handler
    live: bool = False
    does: str = ""
