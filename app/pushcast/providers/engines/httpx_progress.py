"""How far a request of httpx has come, and whether its answer came in time."""

from __future__ import annotations

import asyncio
from typing import Any, Final, TypeVar

T = TypeVar("T")

#: A timer may come before the socket is read: what lies there by then is read within this time.
_READ_SECONDS: Final = 0.5
#: A wait that ends later than this says that the process had no CPU, and nothing about the answer.
_LATE_SHARE: Final = 0.2
_MOST_WAITS: Final = 20


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
        is then not over, and `begun` says whether a byte may have left."""
        left = asyncio.ensure_future(self._left.wait())
        try:
            await asyncio.wait({request, left}, timeout=timeout_seconds, return_when=asyncio.FIRST_COMPLETED)
            if self._left.is_set() and not request.done():
                await asyncio.wait({request}, timeout=timeout_seconds)
        finally:
            left.cancel()
        for _ in range(_MOST_WAITS):
            if request.done() or await _was_on_time(request):
                break
        return request.done()


async def _was_on_time(request: asyncio.Task[T]) -> bool:
    """Waits for what lies in the socket to be read. False when this process was too late to tell."""
    loop = asyncio.get_running_loop()
    due = loop.time() + _READ_SECONDS
    await asyncio.wait({request}, timeout=_READ_SECONDS)
    return loop.time() - due < _READ_SECONDS * _LATE_SHARE
