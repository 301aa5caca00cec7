"""Flow control (RFC 9113 §5.2, §6.9): what we may send, and when we give the peer more."""

from __future__ import annotations

from pushcast.http2.errors import PeerViolation
from pushcast.http2.frames import FLOW_CONTROL_ERROR, LARGEST_WINDOW_BYTES, PROTOCOL_ERROR


def widen(window_bytes: int, increment: int, what: str) -> int:
    """A send window after a WINDOW_UPDATE. Raises PeerViolation for an increment of 0 or a window beyond 2^31-1."""
    if not increment:
        raise PeerViolation(f"WINDOW_UPDATE of 0 on {what}", PROTOCOL_ERROR)
    window_bytes += increment
    if window_bytes > LARGEST_WINDOW_BYTES:
        raise PeerViolation(f"window of {what} grew beyond 2^31-1", FLOW_CONTROL_ERROR)
    return window_bytes


class ReceiveWindow:
    """What the peer may still send us on a connection or a stream."""

    __slots__ = ("_size_bytes", "_used_bytes")

    def __init__(self, size_bytes: int) -> None:
        self._size_bytes = size_bytes
        self._used_bytes = 0

    def consume(self, count: int) -> int:
        """Accounts for a DATA payload, padding included. Returns the increment to announce now, 0 while less than half
        is used. Used bytes are given back at once, so an overrun cannot be seen here: what is kept of a body has its
        own bound."""
        self._used_bytes += count
        if self._used_bytes * 2 < self._size_bytes:
            return 0
        increment, self._used_bytes = self._used_bytes, 0
        return increment
