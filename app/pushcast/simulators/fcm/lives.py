"""How long FCM lets a connection live: not when it idles, grows old or is pinged too often.

Observed by Bloomberg's Pushiko: GOAWAY after 4 idle minutes and after an hour, and after 3 PINGs that no request came
between.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from pushcast.http2 import frames as f
from pushcast.simulators.connection import Connection
from pushcast.simulators.provider import Provider

IDLE_SECONDS: Final = 240.0
MAX_AGE_SECONDS: Final = 3600.0
MAX_PINGS: Final = 3


@dataclass(slots=True)
class Life:
    """A connection's times, in loop seconds."""

    opened_at: float
    used_at: float
    pinged_at: float = 0.0
    pings: int = 0


class Lives:
    """Ends connections by their age and asks for signs of life; `Life` is each connection's memo. None: never."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._sweeper: asyncio.TimerHandle | None = None
        self.reset(False)

    def reset(self, checks: bool) -> None:
        """As FCM does it, or with nothing that ends a connection."""
        self.idle_seconds: float | None = IDLE_SECONDS if checks else None
        self.max_age_seconds: float | None = MAX_AGE_SECONDS if checks else None
        self.max_pings: int | None = MAX_PINGS if checks else None
        self.ping_seconds: float | None = 1.0 if checks else None

    def opened(self, connection: Connection) -> None:
        now = asyncio.get_running_loop().time()
        connection.memo = Life(now, now)
        if self._sweeper is None:
            self._sweep()

    def pinged(self, connection: Connection) -> None:
        life = connection.memo
        if self.max_pings is not None and isinstance(life, Life):
            life.pings += 1
            if life.pings > self.max_pings and not connection.going_away:
                self._provider.send_goaway(connection, "abrupt", "too_many_pings", code=f.ENHANCE_YOUR_CALM)

    def stop(self) -> None:
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None

    def _sweep(self) -> None:
        """Every quarter of a second: which connections idled or grew too old, and which get a PING."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        for connection in list(self._provider.connections.values()):
            life = connection.memo
            if not isinstance(life, Life) or connection.going_away:
                continue
            if self.max_age_seconds is not None and now - life.opened_at > self.max_age_seconds:
                self._provider.send_goaway(connection, "graceful", "max_age")
            elif self.idle_seconds is not None and now - life.used_at > self.idle_seconds:
                self._provider.send_goaway(connection, "graceful", "session_timeout")
            elif self.ping_seconds is not None and life.used_at - life.pinged_at > self.ping_seconds:
                life.pinged_at = now
                connection.send_ping(b"pushcast")
            connection.flush()
        self._sweeper = loop.call_later(0.25, self._sweep) if self._provider.connections else None
