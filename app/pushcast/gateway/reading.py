"""Bodies of requests: bounded in size, in time and, all together, in memory."""

from __future__ import annotations

import asyncio
from typing import Final

from aiohttp import web

from pushcast.gateway.problems import Problem

#: Of all bodies that are being read or handled.
MAX_BYTES_IN_MEMORY: Final = 128 << 20


class Bodies:
    """Reads bodies, and knows how much memory they take."""

    def __init__(self, seconds: float = 10.0, most_bytes: int = MAX_BYTES_IN_MEMORY) -> None:
        """`seconds`: in which a body must have come; may be changed."""
        self.seconds = seconds
        self._most_bytes = most_bytes
        self.held_bytes = 0

    async def read(self, request: web.BaseRequest, limit: int) -> bytes:
        """The whole body; give it back with `release`. Raises Problem: body_too_large, unsupported_media_type,
        request_timeout, overloaded, bad_request."""
        if (coding := request.headers.get("Content-Encoding", "identity").lower()) != "identity":
            raise Problem("unsupported_media_type", f"Content-Encoding {coding[:32]} is not taken")
        length = request.content_length
        if length is not None and length > limit:
            raise _too_large(limit)
        if not request.can_read_body:
            return b""
        seconds = self.seconds
        try:
            async with asyncio.timeout(seconds):
                return await self._collect(request, limit)
        except TimeoutError:
            raise Problem("request_timeout", f"a body must come within {seconds:.0f} s") from None
        except web.HTTPException as error:
            raise Problem("bad_request", f"the body cannot be read: {error.reason}") from None

    async def _collect(self, request: web.BaseRequest, limit: int) -> bytes:
        chunks: list[bytes] = []
        size = 0
        try:
            while chunk := await request.content.readany():
                size += len(chunk)
                self.hold(len(chunk))
                if size > limit:
                    raise _too_large(limit)
                if self.full:
                    raise too_many()
                chunks.append(chunk)
        except BaseException:
            self.held_bytes -= size
            raise
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    @property
    def full(self) -> bool:
        """Whether they take more memory than they may."""
        return self.held_bytes > self._most_bytes

    def hold(self, size: int) -> None:
        """So many bytes of a body are there."""
        self.held_bytes += size

    def release(self, size: int) -> None:
        """The request that a body of so many bytes belonged to is answered."""
        self.held_bytes -= size


def _too_large(limit: int) -> Problem:
    return Problem("body_too_large", f"the body has more than {limit:,} bytes", headers={"Connection": "close"})


def too_many() -> Problem:
    """What a client is told when `Bodies` are full."""
    return Problem("overloaded", "too many bodies are being read at once", headers={"Retry-After": "1"})
