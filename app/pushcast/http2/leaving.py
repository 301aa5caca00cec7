"""When what was written has left the transport, and whether what came back has been read: what a deadline rests on."""

from __future__ import annotations

import asyncio
import select
import socket
from collections import deque
from collections.abc import Iterable

from pushcast.http2.burst import Burst


class Leaving:
    """Bursts whose last byte lies in the transport's buffer. Their `sent_at` moves on while the buffer drains, so that
    a request waits for its answer only from when it has left; while nothing drains at all, it stands."""

    __slots__ = ("_drained_bytes", "_waiting", "_written_bytes")

    def __init__(self) -> None:
        self._written_bytes = 0
        self._drained_bytes = 0
        self._waiting: deque[tuple[int, Burst]] = deque()

    def wrote(self, size_bytes: int, bursts: Iterable[Burst], buffered_bytes: int) -> None:
        """`bursts` ended in what was just written; `buffered_bytes` lie in the transport since."""
        self._written_bytes += size_bytes
        if buffered_bytes:
            self._waiting.extend((self._written_bytes, burst) for burst in bursts)

    def look(self, buffered_bytes: int, now: float) -> None:
        """Call it before answers are timed and before anything is judged late."""
        if not self._waiting:
            return
        drained = self._written_bytes - buffered_bytes
        if drained <= self._drained_bytes:
            return
        self._drained_bytes = drained
        for _, burst in self._waiting:
            burst.sent_at = now
        while self._waiting and self._waiting[0][0] <= drained:
            self._waiting.popleft()


class Unread:
    """Whether everything has been read that the peer had sent at some moment: a reader that comes late, because its
    process had no CPU, must not call missing what lies in its socket."""

    __slots__ = ("_poll", "_socket", "_until_bytes", "received_bytes")

    def __init__(self, transport: asyncio.Transport) -> None:
        """`received_bytes` is counted by whoever reads."""
        self.received_bytes = 0
        self._socket: socket.socket | None = transport.get_extra_info("socket")
        self._poll = select.poll()
        if self._socket is not None:
            self._poll.register(self._socket.fileno(), select.POLLIN)
        self._until_bytes: int | None = None

    def all_read(self) -> bool:
        """Ask when something is judged to be missing, and again later when the answer is no.

        The kernel holds no more than its receive buffer: when so many bytes were read since the first no, what lay
        there then is read, however much has come in meanwhile.
        """
        if not self._poll.poll(0) or self._socket is None:
            self._until_bytes = None
            return True
        if self._until_bytes is None:
            buffer_bytes = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
            self._until_bytes = self.received_bytes + buffer_bytes
            return False
        if self.received_bytes < self._until_bytes:
            return False
        self._until_bytes = None
        return True
