"""Pages that stay up to date: a stream of whole values for each tab that is looked at (server-sent events)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from pushcast.console.watch import RecentAnswer
from pushcast.gateway.problems import Problem

MAX_STREAMS: Final = 200
TICK_SECONDS: Final = 1.0
#: A comment is sent when nothing else was for so long: proxies close what is silent.
HEARTBEAT_SECONDS: Final = 15.0
#: A client that takes nothing for so long is cut off; it connects again and gets the present value.
WRITE_SECONDS: Final = 5.0
RETRY_MS: Final = 3000

Make = Callable[[], Awaitable[str]]


class LiveStreams:
    """Those that are open. Streams of one page and one key share what is made for them."""

    def __init__(self, most: int = MAX_STREAMS) -> None:
        self._most = most
        self._open: dict[str, tuple[RecentAnswer[str], int]] = {}  # by what they show: and how many
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Ends them all, within a tick."""
        self._stopping.set()

    def count(self) -> int:
        """How many are open."""
        return sum(count for _, count in self._open.values())

    async def serve(self, request: web.Request, shows: str, make: Make, headers: dict[str, str]) -> web.StreamResponse:
        """Sends what `make` returns whenever it changes. `shows`: the same for what is the same. Raises Problem.

        It ends when `make` raises Problem: the visitor's key opens nothing any more, or the page has gone.
        """
        if self.count() >= self._most:
            raise Problem("overloaded", f"{self._most} pages are being kept up to date", headers={"Retry-After": "5"})
        recent, count = self._open.get(shows, (RecentAnswer(make, TICK_SECONDS * 0.9), 0))
        self._open[shows] = recent, count + 1
        try:
            first = await recent.get()
            response = web.StreamResponse(headers={**headers, "Content-Type": "text/event-stream; charset=utf-8"})
            try:
                await response.prepare(request)
            except ConnectionError:  # it left meanwhile
                return response
            await self._follow(response, recent, first)
        finally:
            recent, count = self._open[shows]
            if count > 1:
                self._open[shows] = recent, count - 1
            else:
                del self._open[shows]
        return response

    async def _follow(self, response: web.StreamResponse, recent: RecentAnswer[str], first: str) -> None:
        version, said, sent_at = 1, first, time.monotonic()
        if not await _sent(response, f"retry: {RETRY_MS}\n{_event(version, first)}"):
            return
        while not self._stopping.is_set():
            try:
                await asyncio.wait_for(self._stopping.wait(), TICK_SECONDS)
            except TimeoutError:
                pass
            else:
                return
            try:
                now = await recent.get()
            except Problem:
                return
            if now != said:
                version, said = version + 1, now
                text = _event(version, now)
            elif time.monotonic() - sent_at >= HEARTBEAT_SECONDS:
                text = ": here\n\n"
            else:
                continue
            if not await _sent(response, text):
                return
            sent_at = time.monotonic()


def _event(version: int, html: str) -> str:
    lines = "".join(f"data: {line}\n" for line in html.splitlines())
    return f"event: page\nid: {version}\n{lines}\n"


async def _sent(response: web.StreamResponse, text: str) -> bool:
    try:
        async with asyncio.timeout(WRITE_SECONDS):
            await response.write(text.encode())
    except (TimeoutError, ConnectionError):
        return False
    return True
