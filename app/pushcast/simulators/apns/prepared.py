"""What APNs can conclude from the fixed fields of a header block, once for all requests of that shape."""

from __future__ import annotations

from dataclasses import dataclass

from pushcast.http2.server_hpack import Shape
from pushcast.simulators.apns import validation


@dataclass(slots=True)
class Prepared:
    """What follows from a shape's fixed fields, once for all its requests."""

    headers: validation.Headers
    topic: bytes
    bundle: str
    suffix: bytes  # of the topic: what kind of token it takes
    limit_bytes: int
    path_hole: int
    id_hole: int
    message_refusal: str | None
    request_refusal: str | None
    refusal: str | None
    token: bytes
    path_refusal: str | None


def prepare(shape: Shape, values: tuple[bytes, ...]) -> Prepared:
    """Remembered on the shape when nothing but the path and the message id varies in it."""
    names = shape.hole_names
    path_hole = names.index(b":path") if names.count(b":path") == 1 else -1
    id_hole = names.index(b"apns-id") if names.count(b"apns-id") == 1 else -1
    headers = validation.Headers.of(shape.fill(values))
    topic = headers.topic
    path_refusal = validation.refuse_path(headers.path)
    token = headers.path[10:] if headers.path.startswith(b"/3/device/") else headers.path
    message_refusal = validation.refuse_message_id(headers.message_id) if headers.message_id else None
    prepared = Prepared(
        headers,
        topic,
        validation.bundle_of(topic).decode(errors="replace"),
        topic[len(validation.bundle_of(topic)) :],
        validation.LIMIT_BYTES.get(headers.push_type, 4_096),
        path_hole,
        id_hole,
        message_refusal,
        validation.refuse_request(headers),
        validation.refuse_headers(headers),
        token,
        path_refusal,
    )
    if len(names) == (path_hole >= 0) + (id_hole >= 0):
        shape.memo = prepared
    return prepared
