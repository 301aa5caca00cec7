"""How far a request of httpx has come, and whether its answer came in time."""

from __future__ import annotations

import asyncio
from typing import Any, Final, TypeVar

from pushcast.http2.attended import any_done
from pushcast.http2.leave import MayLeave, always

T = TypeVar("T")

#: A timer may come before the socket is read: what lies there by then is read within this time.
_READ_SECONDS: Final = 0.5


class NotLeft(Exception):
    """The request was not to leave any more when it could have been written; nothing of it was."""


class RequestProgress:
    """Give `trace` to httpx as the extension of that name (https://www.encode.io/httpcore/extensions/#trace).

    `may_leave` is asked just before the first byte is written, however long the connection took: on False the request
    ends with NotLeft."""

    def __init__(self, may_leave: MayLeave = always) -> None:
        self.begun = False
        self._may_leave = may_leave
        self._to_proxy = False
        self._left = asyncio.Event()

    async def trace(self, event: str, info: dict[str, Any]) -> None:
        """Called by httpcore at each step. What a proxy is asked first (CONNECT) has the same steps: it is nothing of
        the request. Raises NotLeft."""
        if event.endswith("send_request_headers.started"):
            self._to_proxy = getattr(info.get("request"), "method", b"") == b"CONNECT"
            if not self._to_proxy:
                if not self._may_leave():
                    raise NotLeft
                self.begun = True
        elif event.endswith("send_request_body.complete") and not self._to_proxy:
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
