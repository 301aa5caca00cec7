"""How far a request of httpx has come, and whether its answer came in time."""

from __future__ import annotations

import asyncio
from typing import Any, Final, TypeVar

from pushcast.http2.attended import any_done

T = TypeVar("T")

#: A timer may come before the socket is read: what lies there by then is read within this time.
_READ_SECONDS: Final = 0.5


class RequestProgress:
    """Give `trace` to httpx as the extension of that name (https://www.encode.io/httpcore/extensions/#trace)."""

    def __init__(self) -> None:
        self.begun = False
        self._left = asyncio.Event()

    async def trace(self, event: str, _: dict[str, Any]) -> None:
        """Called by httpcore at each step."""
        if event.endswith("send_request_headers.started"):
            self.begun = True
        elif event.endswith("send_request_body.complete"):
            self._left.set()

    async def in_time(self, request: asyncio.Task[T], timeout_seconds: float) -> bool:
        """Waits so long for the request to leave, and then so long for its answer. False when there is none; the task
        is then not over, and `begun` says whether a byte may have left. Time without CPU does not count."""
        left = asyncio.ensure_future(self._left.wait())
        try:
            await any_done((request, left), timeout_seconds)
            if self._left.is_set():
                await any_done((request,), timeout_seconds)
        finally:
            left.cancel()
        return await any_done((request,), _READ_SECONDS)
