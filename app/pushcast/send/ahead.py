"""Connections before there is work: the first one-time code after a start waits for no handshake and no token."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final

import structlog

from pushcast.providers.port import OpensAhead, Provider

log = structlog.get_logger(__name__)

#: Of one platform. A sender of thousands of apps does not open thousands of connections that may never be used.
MOST_AHEAD: Final = 32


class Ahead:
    """A resource of a sender: makes its first `MOST_AHEAD` providers ready, one after the other, while it starts."""

    def __init__(self, providers: Iterable[Provider]) -> None:
        """`providers`: resources that start before this one."""
        self._providers = [each for each in providers if isinstance(each, OpensAhead)][:MOST_AHEAD]
        self._opening: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Returns at once."""
        self._opening = asyncio.create_task(self._open())

    async def _open(self) -> None:
        for provider in self._providers:
            try:
                await provider.open_ahead()
            except Exception as error:
                # Nothing depends on it: the first push finds out what is wrong, and its receipt says so.
                log.warning("not_opened_ahead", app=provider.app, platform=str(provider.platform), error=repr(error))

    async def close(self) -> None:
        """Gives up what is not open yet."""
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.gather(self._opening, return_exceptions=True)
