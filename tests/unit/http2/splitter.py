"""Cuts what a test reads back into frames; the product's readers do it on their way (`http2/inbound.py`)."""

from __future__ import annotations

from pushcast.http2.errors import PeerViolation
from pushcast.http2.frames import DEFAULT_MAX_FRAME_BYTES, FRAME_SIZE_ERROR, LARGEST_STREAM_ID, UNPACK_U32, Frame


class FrameSplitter:
    """Cuts a byte stream into frames, whatever the sizes it arrives in.

    Keeps at most one incomplete frame (`max_frame_bytes` + 9) between calls.
    """

    __slots__ = ("_max_frame_bytes", "_rest")

    def __init__(self, max_frame_bytes: int = DEFAULT_MAX_FRAME_BYTES) -> None:
        self._rest = b""
        self._max_frame_bytes = max_frame_bytes

    def feed(self, data: bytes) -> list[Frame]:
        """The frames completed by `data`. Raises PeerViolation on a frame larger than we announced; frames in
        front of it in the same call are lost with it."""
        buffer = self._rest + data if self._rest else data
        frames: list[Frame] = []
        start, size = 0, len(buffer)
        while size - start >= 9:
            length = buffer[start] << 16 | buffer[start + 1] << 8 | buffer[start + 2]
            if length > self._max_frame_bytes:
                raise PeerViolation(
                    f"frame of {length} bytes exceeds MAX_FRAME_SIZE {self._max_frame_bytes}", FRAME_SIZE_ERROR
                )
            end = start + 9 + length
            if end > size:
                break
            stream_id = UNPACK_U32(buffer, start + 5)[0] & LARGEST_STREAM_ID
            frames.append(Frame(buffer[start + 3], buffer[start + 4], stream_id, bytes(buffer[start + 9 : end])))
            start = end
        self._rest = bytes(buffer[start:])
        return frames
