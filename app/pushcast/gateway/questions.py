"""What is looked up in the topics when somebody asks: why, a user's devices, dead letters. Two at once, in threads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from pushcast.gateway.access import Caller
from pushcast.gateway.events import checked_user
from pushcast.gateway.http import Answer, Request, answer
from pushcast.gateway.problems import Problem
from pushcast.gateway.reports import Reports

MAX_AT_ONCE: Final = 2
MAX_WAITING: Final = 16

Why = Callable[[str, str, str | None], tuple[bool, dict[str, Any]]]
DevicesOf = Callable[[str], list[dict[str, Any]]]
Letters = Callable[[int], list[dict[str, Any]]]


class Sources(NamedTuple):
    """Functions that read topics. They block.

    `why`: (user, notification, device) to (whether anything is known, the answer with its evidence).
    `devices`: rows of a user, without addresses. `letters`: dead letters, oldest first, at most so many.
    `reports`: what the reporters know; it does not block.
    """

    why: Why
    devices: DevicesOf
    letters: Letters
    reports: Reports


class Questions:
    """Each reads a partition or more, so few run at once; one too many is told to come back."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._turn = asyncio.Semaphore(MAX_AT_ONCE)
        self._waiting = 0

    async def why(self, request: Request, caller: Caller) -> Answer:
        """GET /v1/users/{user}/why?notification=ID[&device=D]."""
        caller.may_app(None)
        user = checked_user(request.path["user"])
        note = request.query.get("notification", "")
        if not note:
            raise Problem("bad_request", "the parameter notification is required: the id to ask for")
        _, found = await self._ask(self._sources.why, user, note, request.query.get("device"))
        return answer(200, found)

    async def devices(self, request: Request, caller: Caller) -> Answer:
        """GET /v1/users/{user}/devices: without tokens; of the key's apps."""
        rows = await self._ask(self._sources.devices, checked_user(request.path["user"]))
        allowed = caller.key.apps
        return answer(200, {"devices": [row for row in rows if allowed is None or row["app"] in allowed]})

    async def letters(self, request: Request, caller: Caller) -> Answer:
        """GET /v1/dead-letters?limit=."""
        caller.may_app(None)
        text = request.query.get("limit", "50")
        if not text.isascii() or not text.isdigit() or not 1 <= int(text[:6]) <= 500:
            raise Problem("bad_request", "limit is a number from 1 to 500")
        return answer(200, {"letters": await self._ask(self._sources.letters, int(text))})

    async def _ask(self, source: Callable[..., Any], *arguments: object) -> Any:
        if self._waiting >= MAX_WAITING:
            raise Problem("overloaded", f"{MAX_WAITING} questions are waiting", headers={"Retry-After": "5"})
        self._waiting += 1
        try:
            async with self._turn:
                return await asyncio.to_thread(source, *arguments)
        finally:
            self._waiting -= 1
