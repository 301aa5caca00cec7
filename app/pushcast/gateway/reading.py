"""Bodies of requests: bounded in size, in time and, all together, in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Final

from aiohttp import web

from pushcast.gateway.problems import FieldError, Problem

#: Of all bodies that are being read or handled.
MAX_BYTES_IN_MEMORY: Final = 128 << 20
#: Of one body of lines (NDJSON), and of what is handled together: about so much of it is in memory at once.
MAX_LINES: Final = 10_000
GROUP_LINES: Final = 500
GROUP_BYTES: Final = 1 << 20
_CLOSES: Final = {"Connection": "close"}


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
        _check_announced(request, limit)
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
        except ConnectionError:
            raise _gone() from None

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

    async def lines(self, request: web.BaseRequest, limit: int) -> AsyncGenerator[list[bytes]]:
        """Lines that are not blank, in groups of at most 500 or about 1 MiB: the client waits while a group is handled.

        Raises Problem as `read`, and invalid_field for more than 10,000 lines: what came before was yielded then.
        """
        _check_announced(request, limit)
        held, size, count, left = 0, 0, 0, self.seconds
        rest, group, group_bytes = b"", list[bytes](), 0
        try:
            while True:
                chunk, waited = await self._next(request, left)
                if not chunk:
                    break
                left -= waited
                size += len(chunk)
                held += len(chunk)
                self.hold(len(chunk))
                if size > limit:
                    raise _too_large(limit)
                if self.full:
                    raise too_many()
                *whole, rest = (rest + chunk).split(b"\n")
                if len(rest) > GROUP_BYTES:
                    raise Problem("body_too_large", f"a line has more than {GROUP_BYTES:,} bytes", headers=_CLOSES)
                for line in whole:
                    if not line.strip():
                        continue
                    if count == MAX_LINES:
                        raise _too_many_lines()
                    count += 1
                    group.append(line)
                    group_bytes += len(line)
                    if len(group) == GROUP_LINES or group_bytes >= GROUP_BYTES:
                        yield group
                        self.release(group_bytes)
                        held -= group_bytes
                        group, group_bytes = [], 0
            if rest.strip():
                if count == MAX_LINES:
                    raise _too_many_lines()
                group.append(rest)
            if group:
                yield group
        finally:
            self.release(held)

    async def _next(self, request: web.BaseRequest, left: float) -> tuple[bytes, float]:
        """The next bytes of the body, none at its end; and how many seconds that took."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            async with asyncio.timeout(max(0.0, left)):
                return await request.content.readany(), loop.time() - began
        except TimeoutError:
            raise Problem("request_timeout", f"a body must come within {self.seconds:.0f} s") from None
        except web.HTTPException as error:
            raise Problem("bad_request", f"the body cannot be read: {error.reason}") from None
        except ConnectionError:
            raise _gone() from None

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


def _check_announced(request: web.BaseRequest, limit: int) -> None:
    if (coding := request.headers.get("Content-Encoding", "identity").lower()) != "identity":
        raise Problem("unsupported_media_type", f"Content-Encoding {coding[:32]} is not taken")
    length = request.content_length
    if length is not None and length > limit:
        raise _too_large(limit)


def _gone() -> Problem:
    """Nobody reads it but the metrics: it is no fault of ours."""
    return Problem("bad_request", "the connection ended within the body", headers=_CLOSES)


def _too_many_lines() -> Problem:
    detail = f"more than {MAX_LINES:,} lines in one request; this one and those behind it were not read"
    return Problem("invalid_field", detail, errors=[FieldError("#", "invalid_field", detail)], headers=_CLOSES)


def _too_large(limit: int) -> Problem:
    return Problem("body_too_large", f"the body has more than {limit:,} bytes", headers=_CLOSES)


def too_many() -> Problem:
    """What a client is told when `Bodies` are full."""
    return Problem("overloaded", "too many bodies are being read at once", headers={"Retry-After": "1"})
