"""The transport of one connection: what is written, when it has left, and whether all that came was read."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final

from pushcast.http2.burst import Burst
from pushcast.http2.leaving import Leaving, Unread

_ABORT_SECONDS: Final = 2.0


class Wire:
    """`paused`: the transport's buffer is full. Without a transport nothing is written and everything was read."""

    __slots__ = ("_abort_at", "_leaving", "_transport", "_unread", "paused")

    def __init__(self) -> None:
        self.paused = False
        self._transport: asyncio.Transport | None = None
        self._leaving = Leaving()
        self._unread: Unread | None = None
        self._abort_at: float | None = None

    def made(self, transport: asyncio.Transport, high_bytes: int) -> None:
        """The connection stands. `paused` begins when its buffer holds more than `high_bytes`."""
        self._transport = transport
        self._unread = Unread(transport)
        transport.set_write_buffer_limits(high=high_bytes)

    def lost(self) -> None:
        """The connection is gone."""
        self._transport = None

    def write(self, data: bytes, bursts: Iterable[Burst] = ()) -> None:
        """`bursts` end in these bytes."""
        transport = self._transport
        if transport is not None:
            transport.write(data)
            self._leaving.wrote(len(data), bursts, transport.get_write_buffer_size())

    def note_left(self, now: float) -> None:
        """Call it before answers are timed and before anything is judged late."""
        if self._transport is not None:
            self._leaving.look(self._transport.get_write_buffer_size(), now)

    def received(self, size_bytes: int) -> None:
        """So much was read."""
        if self._unread is not None:
            self._unread.received_bytes += size_bytes

    def all_read(self) -> bool:
        """Whether nothing lies in the socket; ask when something is judged to be missing."""
        return self._unread is None or self._unread.all_read()

    def close(self, last: bytes) -> None:
        """Writes the last words, and closes when they have left."""
        if self._transport is not None:
            self._transport.write(last)
            self._transport.close()

    def abort(self) -> None:
        """Goes away at once."""
        if self._transport is not None:
            self._transport.abort()

    def abort_when_due(self, now: float) -> None:
        """A peer that does not read would keep a closed transport open for ever. Call it every tick after `close`."""
        if self._transport is None:
            return
        if self._abort_at is None:
            self._abort_at = now + _ABORT_SECONDS
        elif now >= self._abort_at:
            self.abort()
