"""Opens the connections of a pool, and stays away for a while from a server that fails."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

from pushcast.http2.attended import within
from pushcast.http2.connection import Connection
from pushcast.http2.dial import Endpoint, dial
from pushcast.http2.errors import ConnectFailed, ConnectionFault, NotConnected
from pushcast.http2.growth import backoff_seconds
from pushcast.http2.options import PoolOptions


class Dialer:
    """`on_open` gets every connection that came to be, `on_fault` the reason of every one that did not. Belongs to the
    running loop."""

    def __init__(
        self,
        endpoint: Endpoint,
        options: PoolOptions,
        make: Callable[[], Connection],
        *,
        on_open: Callable[[Connection], None],
        on_fault: Callable[[ConnectionFault], None],
        rng: random.Random,
        clock: Callable[[], float],
    ) -> None:
        self._endpoint = endpoint
        self._options = options
        self._make = make
        self._on_open = on_open
        self._on_fault = on_fault
        self._rng = rng
        self._clock = clock
        self._dials: set[asyncio.Task[None]] = set()
        self._failures = 0
        self._failed_at = 0.0
        self._not_before = 0.0
        self._closed = False

    @property
    def opening(self) -> int:
        """Connections on their way."""
        return len(self._dials)

    def open(self, count: int) -> None:
        """So many more, unless it is too early after a failure."""
        if self._closed or self._clock() < self._not_before:
            return
        for _ in range(count):
            task = asyncio.get_running_loop().create_task(self._open())
            self._dials.add(task)
            task.add_done_callback(self._dials.discard)

    def back_off(self) -> None:
        """A connection failed: the next one waits, twice as long as after the failure before."""
        delay = backoff_seconds(
            self._failures, self._options.backoff_seconds, self._options.backoff_cap_seconds, self._rng
        )
        self._failures += 1
        self._failed_at = self._clock()
        self._not_before = self._failed_at + delay

    def worked(self, opened_at: float) -> None:
        """A connection opened then has been answered: when that was after the last failure, that one is forgiven."""
        if opened_at >= self._failed_at:
            self._failures = 0

    async def close(self) -> None:
        """Gives up what is on its way; nothing is opened after this."""
        self._closed = True
        for task in list(self._dials):
            task.cancel()
        await asyncio.gather(*self._dials, return_exceptions=True)

    async def _open(self) -> None:
        made: list[Connection] = []

        def make() -> Connection:
            made.append(self._make())
            return made[-1]

        try:
            connection = await within(self._options.connect_timeout_seconds, dial(self._endpoint, make, self._rng))
            made.remove(connection)
            self._on_open(connection)
        except TimeoutError:
            self._failed(ConnectFailed(f"{self._endpoint.host}: no connection in time"))
        except NotConnected as fault:
            self._failed(fault)
        finally:
            # A dial that is given up may have its transport by then; nobody else would close it.
            for connection in made:
                connection.discard()

    def _failed(self, fault: ConnectionFault) -> None:
        self.back_off()
        self._on_fault(fault)
