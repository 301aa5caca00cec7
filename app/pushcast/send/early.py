"""Connections before there is work: the first one-time code after a start waits for no handshake and no token."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final

import structlog

from pushcast.providers.port import OpensAhead, Provider
from pushcast.stream.ports import Fatal
from pushcast.stream.runner import Runner

log = structlog.get_logger(__name__)

#: Of one platform. A sender of thousands of apps does not open thousands of connections that may never be used.
MOST_EARLY: Final = 32


class EarlyConnections:
    """A resource of a sender: makes its first `MOST_EARLY` providers ready, one after the other, while it starts."""

    def __init__(self, providers: Iterable[Provider], fatal: Fatal) -> None:
        """`providers`: resources that start before this one."""
        self._left = deque([each for each in providers if isinstance(each, OpensAhead)][:MOST_EARLY])
        self._runner = Runner("connections before there is work", self._wait, self._open_next, fatal)

    async def start(self) -> None:
        """Returns at once."""
        self._runner.wake()

    async def close(self) -> None:
        """Gives up what is not open yet."""
        await self._runner.stopped()

    def _wait(self) -> float | None:
        return 0.0 if self._left else None

    async def _open_next(self) -> None:
        provider = self._left.popleft()
        try:
            await provider.open_ahead()
        except Exception as error:
            # Nothing depends on it: the first push finds out what is wrong, and its receipt says so.
            log.warning("not_opened_early", app=provider.app, platform=str(provider.platform), error=repr(error))
