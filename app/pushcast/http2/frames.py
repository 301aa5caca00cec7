"""HTTP/2 frames as bytes: constants, packing, and an incremental splitter for either side (RFC 9113 §4, §6, §7)."""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from pushcast.http2.errors import PeerViolation

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DEFAULT_MAX_FRAME_BYTES: Final = 16_384
LARGEST_MAX_FRAME_BYTES: Final = (1 << 24) - 1
DEFAULT_WINDOW_BYTES: Final = 65_535
LARGEST_WINDOW_BYTES: Final = (1 << 31) - 1
LARGEST_STREAM_ID: Final = (1 << 31) - 1
DEFAULT_HEADER_TABLE_BYTES: Final = 4_096

DATA: Final = 0x0
HEADERS: Final = 0x1
PRIORITY: Final = 0x2
RST_STREAM: Final = 0x3
SETTINGS: Final = 0x4
PUSH_PROMISE: Final = 0x5
PING: Final = 0x6
GOAWAY: Final = 0x7
WINDOW_UPDATE: Final = 0x8
CONTINUATION: Final = 0x9

FLAG_ACK: Final = 0x1
FLAG_END_STREAM: Final = 0x1
FLAG_END_HEADERS: Final = 0x4
FLAG_PADDED: Final = 0x8
FLAG_PRIORITY: Final = 0x20

SETTINGS_HEADER_TABLE_SIZE: Final = 0x1
SETTINGS_ENABLE_PUSH: Final = 0x2
SETTINGS_MAX_CONCURRENT_STREAMS: Final = 0x3
SETTINGS_INITIAL_WINDOW_SIZE: Final = 0x4
SETTINGS_MAX_FRAME_SIZE: Final = 0x5
SETTINGS_MAX_HEADER_LIST_SIZE: Final = 0x6

NO_ERROR: Final = 0x0
PROTOCOL_ERROR: Final = 0x1
INTERNAL_ERROR: Final = 0x2
FLOW_CONTROL_ERROR: Final = 0x3
SETTINGS_TIMEOUT: Final = 0x4
STREAM_CLOSED: Final = 0x5
FRAME_SIZE_ERROR: Final = 0x6
REFUSED_STREAM: Final = 0x7
CANCEL: Final = 0x8
COMPRESSION_ERROR: Final = 0x9
CONNECT_ERROR: Final = 0xA
ENHANCE_YOUR_CALM: Final = 0xB
INADEQUATE_SECURITY: Final = 0xC
HTTP_1_1_REQUIRED: Final = 0xD

ERROR_NAMES: Final = {
    NO_ERROR: "NO_ERROR",
    PROTOCOL_ERROR: "PROTOCOL_ERROR",
    INTERNAL_ERROR: "INTERNAL_ERROR",
    FLOW_CONTROL_ERROR: "FLOW_CONTROL_ERROR",
    SETTINGS_TIMEOUT: "SETTINGS_TIMEOUT",
    STREAM_CLOSED: "STREAM_CLOSED",
    FRAME_SIZE_ERROR: "FRAME_SIZE_ERROR",
    REFUSED_STREAM: "REFUSED_STREAM",
    CANCEL: "CANCEL",
    COMPRESSION_ERROR: "COMPRESSION_ERROR",
    CONNECT_ERROR: "CONNECT_ERROR",
    ENHANCE_YOUR_CALM: "ENHANCE_YOUR_CALM",
    INADEQUATE_SECURITY: "INADEQUATE_SECURITY",
    HTTP_1_1_REQUIRED: "HTTP_1_1_REQUIRED",
}

PACK_U32: Final = struct.Struct(">I").pack
UNPACK_U32: Final = struct.Struct(">I").unpack_from
UNPACK_SETTING: Final = struct.Struct(">HI").unpack_from
_PACK_HEADER: Final = struct.Struct(">BHBBI").pack
_PACK_SETTING: Final = struct.Struct(">HI").pack
_PACK_GOAWAY: Final = struct.Struct(">II").pack


class Frame(NamedTuple):
    """One whole frame; `payload` still carries padding and priority fields."""

    type: int
    flags: int
    stream_id: int
    payload: bytes


def frame_header(length: int, type_: int, flags: int, stream_id: int) -> bytes:
    """The 9 bytes in front of a payload of `length` bytes."""
    return _PACK_HEADER(length >> 16, length & 0xFFFF, type_, flags, stream_id)


def frame_prefix(length: int, type_: int, flags: int) -> bytes:
    """The first 5 of those 9 bytes: what requests of equal shape share before their stream ids."""
    return _PACK_HEADER(length >> 16, length & 0xFFFF, type_, flags, 0)[:5]


def pack_frame(type_: int, flags: int, stream_id: int, payload: bytes = b"") -> bytes:
    """A frame of any type (RFC 9113 §4.1)."""
    length = len(payload)
    return _PACK_HEADER(length >> 16, length & 0xFFFF, type_, flags, stream_id) + payload


def pack_settings(values: dict[int, int]) -> bytes:
    """SETTINGS on stream 0 (§6.5)."""
    return pack_frame(SETTINGS, 0, 0, b"".join(_PACK_SETTING(key, value) for key, value in values.items()))


def pack_settings_ack() -> bytes:
    """The acknowledgement of the peer's SETTINGS (§6.5.3)."""
    return pack_frame(SETTINGS, FLAG_ACK, 0)


def pack_window_update(stream_id: int, increment: int) -> bytes:
    """WINDOW_UPDATE; stream 0 is the connection (§6.9)."""
    return pack_frame(WINDOW_UPDATE, 0, stream_id, PACK_U32(increment))


def pack_rst_stream(stream_id: int, error_code: int) -> bytes:
    """RST_STREAM (§6.4)."""
    return pack_frame(RST_STREAM, 0, stream_id, PACK_U32(error_code))


def pack_ping(payload: bytes, *, ack: bool = False) -> bytes:
    """`payload` is exactly 8 bytes (RFC 9113 §6.7)."""
    return pack_frame(PING, FLAG_ACK if ack else 0, 0, payload)


def pack_goaway(last_stream_id: int, error_code: int, debug: bytes = b"") -> bytes:
    """GOAWAY (§6.8)."""
    return pack_frame(GOAWAY, 0, 0, _PACK_GOAWAY(last_stream_id, error_code) + debug)


def pack_headers(
    stream_id: int, block: bytes, *, end_stream: bool = False, max_frame_bytes: int = DEFAULT_MAX_FRAME_BYTES
) -> bytes:
    """A HEADERS frame, followed by CONTINUATION frames when the block is larger than one frame may be."""
    flags = FLAG_END_STREAM if end_stream else 0
    if len(block) <= max_frame_bytes:
        return pack_frame(HEADERS, flags | FLAG_END_HEADERS, stream_id, block)
    parts = [pack_frame(HEADERS, flags, stream_id, block[:max_frame_bytes])]
    for start in range(max_frame_bytes, len(block), max_frame_bytes):
        last = start + max_frame_bytes >= len(block)
        parts.append(
            pack_frame(CONTINUATION, FLAG_END_HEADERS if last else 0, stream_id, block[start : start + max_frame_bytes])
        )
    return b"".join(parts)


def pack_data(
    stream_id: int, body: bytes, *, end_stream: bool = True, max_frame_bytes: int = DEFAULT_MAX_FRAME_BYTES
) -> bytes:
    """DATA frames of at most `max_frame_bytes`; an empty body gives one empty frame. Windows are the caller's."""
    if len(body) <= max_frame_bytes:
        return pack_frame(DATA, FLAG_END_STREAM if end_stream else 0, stream_id, body)
    parts = []
    for start in range(0, len(body), max_frame_bytes):
        last = end_stream and start + max_frame_bytes >= len(body)
        parts.append(pack_frame(DATA, FLAG_END_STREAM if last else 0, stream_id, body[start : start + max_frame_bytes]))
    return b"".join(parts)


def unpack_settings(payload: bytes) -> list[tuple[int, int]]:
    """Identifier and value of each setting, in order; a later one wins. Raises PeerViolation on a broken length."""
    if len(payload) % 6:
        raise PeerViolation(f"SETTINGS of {len(payload)} bytes is not a multiple of 6", FRAME_SIZE_ERROR)
    return [UNPACK_SETTING(payload, start) for start in range(0, len(payload), 6)]


def unpack_goaway(payload: bytes) -> tuple[int, int, bytes]:
    """(last stream id, error code, debug data)."""
    if len(payload) < 8:
        raise PeerViolation(f"GOAWAY of {len(payload)} bytes is shorter than 8", FRAME_SIZE_ERROR)
    return UNPACK_U32(payload, 0)[0] & LARGEST_STREAM_ID, UNPACK_U32(payload, 4)[0], payload[8:]


def unpack_u32(payload: bytes, frame_name: str) -> int:
    """The single number of a WINDOW_UPDATE or RST_STREAM."""
    if len(payload) != 4:
        raise PeerViolation(f"{frame_name} of {len(payload)} bytes is not 4", FRAME_SIZE_ERROR)
    return int(UNPACK_U32(payload, 0)[0])


def strip_padding(frame: Frame) -> bytes:
    """What a DATA, HEADERS or PUSH_PROMISE frame carries without padding and, on HEADERS, without priority fields.

    For flow control the whole payload counts, padding included (RFC 9113 §6.9.1).
    """
    payload = frame.payload
    start, end = 0, len(payload)
    if frame.flags & FLAG_PADDED:
        if not end:
            raise PeerViolation("padded frame without a pad length", FRAME_SIZE_ERROR)
        start, end = 1, end - payload[0]
    if frame.flags & FLAG_PRIORITY and frame.type == HEADERS:
        start += 5
    if start > end:
        raise PeerViolation("padding or priority fields are longer than the frame", PROTOCOL_ERROR)
    return payload[start:end] if start or end != len(payload) else payload
