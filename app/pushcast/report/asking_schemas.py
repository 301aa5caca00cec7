"""Asks the schema registry for the thread that reads the books: the registry's client belongs to the event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, wait
from typing import Final

from pushcast.wire.schemas import CONFLUENT_MARKER, SchemaSource

#: How long the thread stands still for an answer. It reads other books while a slow registry takes longer.
ANSWER_SECONDS: Final = 1.0
#: For how long a registry that could not be asked is left alone.
AGAIN_SECONDS: Final = 1.0


class RegistryAway(ConnectionError):
    """It does not say what it knows. The records are not to blame."""


class AskedSchemas:
    """Of one thread. One question is under way at a time, and is never given up: the source has a bound of its own."""

    def __init__(
        self,
        source: SchemaSource,
        loop: asyncio.AbstractEventLoop,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`clock`: seconds that only grow."""
        self.source = source
        self._loop = loop
        self._clock = clock
        self._asked: Future[None] | None = None
        self._away: tuple[float, str] = (0.0, "")  # until when it is not asked again, and why

    def require(self, values: Iterable[bytes | None]) -> None:
        """Returns when everything is known of the schemas of these values, though it be that there is none.

        Blocks for at most a second. Raises RegistryAway: ask again, later."""
        framed = [value for value in values if value is not None and value[:1] == CONFLUENT_MARKER]
        if not framed:
            return
        until, why = self._away
        if self._clock() < until:
            raise RegistryAway(why)
        if self._asked is not None:
            self._finish(self._asked, 0.0)  # it was about others
        self._asked = asyncio.run_coroutine_threadsafe(self.source.prepare(framed), self._loop)
        self._finish(self._asked, ANSWER_SECONDS)

    def _finish(self, asked: Future[None], seconds: float) -> None:
        wait([asked], seconds)
        if not asked.done():
            raise RegistryAway("the schema registry has not answered yet")
        self._asked = None
        try:
            asked.result()
        except OSError as error:
            self._away = self._clock() + AGAIN_SECONDS, str(error)
            raise RegistryAway(str(error)) from error
