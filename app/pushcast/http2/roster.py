"""The connections of a pool: those that take requests, and those that only end what they have."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator

from pushcast.http2.connection import Connection
from pushcast.http2.listener import State


class Roster:
    """`serving` take requests; `leaving` are draining or closed, until their transport is gone."""

    def __init__(self) -> None:
        self.serving: list[Connection] = []
        self.leaving: list[Connection] = []
        self._empty = asyncio.Event()
        self._empty.set()

    def __iter__(self) -> Iterator[Connection]:
        return iter([*self.serving, *self.leaving])

    @property
    def draining(self) -> int:
        """How many are ending what they have."""
        return sum(1 for connection in self.leaving if connection.state is State.DRAINING)

    @property
    def coming(self) -> int:
        """How many may not be used fully yet."""
        return sum(1 for connection in self.serving if connection.serial or connection.state is State.SETTLING)

    def by_load(self) -> list[Connection]:
        """Those that take requests, the one with the fewest first."""
        return sorted(self.serving, key=_in_flight)

    def to_spare(self) -> Connection:
        """The one that is closed when there is one too many: the youngest."""
        return max(self.serving, key=_opened_at)

    def worked_at(self) -> float:
        """When the youngest one opened that has answered; minus infinity without one."""
        return max((one.opened_at for one in self.serving if one.answered), default=-math.inf)

    def retire(self, connection: Connection) -> None:
        """Takes no more requests, and ends when those it has are answered. Of one that leaves already nothing is asked:
        whoever retires several may find that the end of the first has sorted out others."""
        if connection not in self.serving:
            return
        self.serving.remove(connection)
        self.leaving.append(connection)
        connection.drain()

    def sort_out(self) -> None:
        """Connections that take no more requests make place for others."""
        leaving = [connection for connection in self.serving if connection.state in (State.DRAINING, State.CLOSED)]
        if leaving:
            self.serving = [connection for connection in self.serving if connection not in leaving]
            self.leaving += leaving

    def forget_gone(self) -> None:
        """Lets go of those whose transport is closed."""
        self.leaving = [connection for connection in self.leaving if not connection.gone]
        if not self.leaving:
            self._empty.set()

    async def left(self, seconds: float) -> None:
        """Returns when none is leaving any more, or the time is over."""
        try:
            async with asyncio.timeout(seconds):
                while self.leaving:
                    self._empty.clear()
                    await self._empty.wait()
        except TimeoutError:
            return


def _in_flight(connection: Connection) -> int:
    return connection.in_flight


def _opened_at(connection: Connection) -> float:
    return connection.opened_at
