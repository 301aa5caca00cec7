"""Answers in the forms that RFC 9113 allows and clients forget."""

from __future__ import annotations

from typing import Final

from pushcast.http2 import frames as f
from pushcast.http2.server_hpack import literal, status_field

ANSWER_STYLES: Final = ("plain", "continuation", "padded", "informational", "trailers", "crumbs")


def styled(style: str, stream_id: int, block: bytes, body: bytes) -> bytes:
    """A whole answer in one of `ANSWER_STYLES` but `plain`.

    continuation: the header block in three frames. padded: padding on every frame. informational: a 103 in front.
    trailers: a header block behind the body. crumbs: the body byte by byte, with empty DATA frames between.
    """
    end = f.FLAG_END_STREAM
    if style == "continuation":
        first = f.pack_frame(f.HEADERS, 0 if body else end, stream_id, block[:1])
        middle = f.pack_frame(f.CONTINUATION, 0, stream_id, block[1:2])
        head = first + middle + f.pack_frame(f.CONTINUATION, f.FLAG_END_HEADERS, stream_id, block[2:])
        return head + (f.pack_data(stream_id, body) if body else b"")
    if style == "padded":
        flags = f.FLAG_END_HEADERS | f.FLAG_PADDED | (0 if body else end)
        head = f.pack_frame(f.HEADERS, flags, stream_id, b"\x05" + block + bytes(5))
        return head + (f.pack_frame(f.DATA, f.FLAG_PADDED | end, stream_id, b"\x00" + body) if body else b"")
    if style == "informational":
        early = f.pack_headers(stream_id, status_field(103) + literal(b"link", b"</>; rel=preload"))
        return (
            early
            + f.pack_headers(stream_id, block, end_stream=not body)
            + (f.pack_data(stream_id, body) if body else b"")
        )
    if style == "trailers":
        head = f.pack_headers(stream_id, block) + (f.pack_data(stream_id, body, end_stream=False) if body else b"")
        return head + f.pack_headers(stream_id, literal(b"x-trailer", b"1"), end_stream=True)
    parts = [f.pack_headers(stream_id, block)]
    for octet in body:
        parts.append(f.pack_data(stream_id, bytes((octet,)), end_stream=False))
        parts.append(f.pack_data(stream_id, b"", end_stream=False))
    return b"".join([*parts, f.pack_data(stream_id, b"")])
