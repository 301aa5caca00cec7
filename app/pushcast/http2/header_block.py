"""A header block that came without END_HEADERS and continues in further frames."""

from __future__ import annotations

from typing import Final

from pushcast.http2.errors import PeerViolation
from pushcast.http2.frames import ENHANCE_YOUR_CALM

_MAX_BYTES: Final = 65_536


class HeaderBlock:
    """Bounded in bytes and frames: a peer could go on for ever (https://kb.cert.org/vuls/id/421644)."""

    __slots__ = ("_bytes", "_frames", "_max_frames", "flags", "stream_id")

    def __init__(self, stream_id: int, flags: int, first: bytes, max_frames: int) -> None:
        """`flags` of its HEADERS; `max_frames` CONTINUATIONs may follow."""
        self.stream_id = stream_id
        self.flags = flags
        self._bytes = bytearray(first)
        self._frames = 0
        self._max_frames = max_frames

    def add(self, payload: bytes) -> None:
        """Of a CONTINUATION. Raises PeerViolation."""
        self._bytes += payload
        self._frames += 1
        if len(self._bytes) > _MAX_BYTES or self._frames > self._max_frames:
            raise PeerViolation(
                f"header block of more than {_MAX_BYTES} bytes or {self._max_frames} frames", ENHANCE_YOUR_CALM
            )

    def whole(self) -> bytes:
        """What has come of it."""
        return bytes(self._bytes)
