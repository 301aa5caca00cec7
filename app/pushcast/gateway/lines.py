"""Bodies of lines (NDJSON), taken as they come, and answers of lines, told while the next ones are read."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import Final, NamedTuple

from aiohttp import web

from pushcast.gateway.access import Caller
from pushcast.gateway.bulk import Bulk
from pushcast.gateway.http import NDJSON, Answer
from pushcast.gateway.problems import Problem
from pushcast.gateway.quick import Quotas
from pushcast.gateway.reading import Bodies
from pushcast.gateway.routes import Route

logger = logging.getLogger(__name__)

#: Of the head, which leaves before anybody knows what becomes of the lines: as many statuses as there are lines.
STATUS: Final = 207
#: What is counted of a client that did not read its answer to the end.
NOT_READ: Final = 408

#: Hears after each group of lines what is left of the quotas.
GroupTaken = Callable[[Mapping[str, str]], Awaitable[None]]


class NotReadError(Exception):
    """The client has gone, or does not read what it is answered."""


class LinesTaken(NamedTuple):
    """The lines of one request. `began`: monotonic seconds."""

    bodies: Bodies
    quotas: Quotas
    request: web.Request
    route: Route
    bulk: Bulk
    caller: Caller
    began: float

    async def answered(self) -> tuple[Answer, dict[str, str]]:
        """Takes them all, and what is left of the quotas. Raises Problem where nothing was written."""
        limits, is_whole = await self._take()
        answered = self.bulk.answer()
        more = {} if is_whole else {"Connection": "close"}  # the rest of the body was not read
        return answered._replace(headers={**answered.headers, **more}), limits

    async def streamed(self, headers: Mapping[str, str]) -> tuple[web.StreamResponse, int]:
        """As `answered`, but what became of a group is told before the next one is read. Returns the response, which
        has left, and the status that is counted."""
        out = LinesAnswer(self.request, self.bulk, self.bodies.seconds, headers)
        try:
            limits, is_whole = await self._take(out.go_on)
            return await out.end(limits, closes=not is_whole), STATUS
        except NotReadError:
            return out.cut(), NOT_READ
        except Exception:
            if not out.has_begun:
                raise
            logger.exception("%s: an answer of lines was not told to its end", self.route.name)
            return out.cut(), 500

    async def _take(self, taken: GroupTaken | None = None) -> tuple[dict[str, str], bool]:
        """A group is read when the one before is written and `taken` has told it. What ends the reading too early, or
        refuses a group, stands in place of their lines. Returns what is left of the quotas, and whether everything was
        read."""
        limits: dict[str, str] = {}
        is_whole = True
        bulk, pays = self.bulk, self.route.items is not None  # each of them
        try:
            async with aclosing(self.bodies.lines(self.request, self.route.max_lines_bytes)) as groups:
                async for lines in groups:
                    first = not bulk.count
                    try:
                        now = self.began if first else time.monotonic()
                        limits = await self.quotas.admitted(self.caller, len(lines) if pays else 0, now, int(first))
                        await bulk.take(lines)
                    except Problem as problem:
                        if first:
                            raise
                        bulk.refuse(problem, len(lines))
                    if taken is not None:
                        await taken(limits)
        except Problem as problem:
            if not bulk.count:
                raise
            bulk.refuse(problem)
            is_whole = False
        if not bulk.count:
            limits = await self.quotas.admitted(self.caller, 0, self.began)
        return limits, is_whole


class LinesAnswer:
    """The answer to one request. What a slow client has not read yet keeps the next lines of its body waiting."""

    def __init__(self, request: web.BaseRequest, bulk: Bulk, seconds: float, headers: Mapping[str, str]) -> None:
        """`seconds`: in which the client must have read a part. `headers`: beside those that tell what is left."""
        self._request = request
        self._bulk = bulk
        self._seconds = seconds
        self._headers = headers
        self._response: web.StreamResponse | None = None

    @property
    def has_begun(self) -> bool:
        """Whether its head has left: nothing else can be answered then."""
        return self._response is not None

    async def go_on(self, limits: Mapping[str, str]) -> None:
        """Tells what became of the lines since the last call. The first call sends the head, with `limits`. Raises
        NotReadError."""
        await self._write(self._bulk.told(), limits)

    async def end(self, limits: Mapping[str, str], closes: bool) -> web.StreamResponse:
        """Tells the rest and the sums. `closes`: of the body, not everything was read. Raises NotReadError."""
        response = await self._write(self._bulk.last_line(), limits)
        if closes:
            response.force_close()
        try:
            await asyncio.wait_for(response.write_eof(), self._seconds)
        except (TimeoutError, ConnectionError) as error:
            raise NotReadError from error
        return response

    def cut(self) -> web.StreamResponse:
        """Ends the connection: a client that sees no last line knows that it has not heard everything."""
        if self._request.transport is not None:
            self._request.transport.abort()
        return self._response or web.StreamResponse(status=STATUS)

    async def _write(self, data: bytes, limits: Mapping[str, str]) -> web.StreamResponse:
        try:
            async with asyncio.timeout(self._seconds):
                response = self._response
                if response is None:
                    headers = {"Content-Type": NDJSON, **limits, **self._headers}
                    response = self._response = web.StreamResponse(status=STATUS, headers=headers)
                    await response.prepare(self._request)
                await response.write(data)
        except (TimeoutError, ConnectionError) as error:
            raise NotReadError from error
        return response
