"""Encoding of many requests at once, and what is remembered about them.

All per-request work of the usual case happens in C: columns of pieces are zipped, chained and joined.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain, repeat

from pushcast.http2.frames import (
    DATA,
    FLAG_END_HEADERS,
    FLAG_END_STREAM,
    HEADERS,
    PACK_U32,
    frame_prefix,
)
from pushcast.http2.hpack import encode_length, encode_string, literal_name
from pushcast.http2.request import RequestJob, Template, Varying, Wrapped


class Burst:
    """Requests of one job that left together: consecutive stream ids from `first_id` in steps of 2.

    `sent_at`: when the last of their bytes is known to have moved: they were written, or left the transport's buffer.
    """

    __slots__ = ("first_id", "indices", "job", "left", "sent_at")

    def __init__(self, job: RequestJob, indices: Sequence[int], first_id: int, sent_at: float) -> None:
        self.job = job
        self.indices = indices
        self.first_id = first_id
        self.left = len(indices)
        self.sent_at = sent_at


def column_slice(column: Sequence[bytes | None], indices: Sequence[int]) -> Sequence[bytes | None]:
    """The values of these requests, in their order; a plain slice where the indices are a range."""
    if isinstance(indices, range):
        return column[indices.start : indices.stop]
    return [column[index] for index in indices]


def _piece(header: Varying, value: bytes | None) -> bytes:
    """Length and value of one varying header; with its name when it is optional."""
    if value is None:
        return b""
    if header.optional:
        return literal_name(header.name) + encode_string(header.prefix + value)
    return encode_length(len(header.prefix) + len(value)) + header.prefix + value


def header_block(job: RequestJob, segments: Sequence[bytes], index: int) -> bytes:
    """The whole header block of one request."""
    parts = [segments[0]]
    for position, header in enumerate(job.template.varying):
        parts.append(_piece(header, job.columns[position][index]))
        parts.append(segments[position + 1])
    return b"".join(parts)


def body_of(job: RequestJob, index: int) -> bytes:
    """The body of one request: the template's own, or its frame around the request's last column."""
    body = job.template.body
    if isinstance(body, bytes):
        return body
    piece = job.columns[-1][index]
    return body.prefix + (piece or b"") + body.suffix


def encode_burst(
    job: RequestJob, segments: Sequence[bytes], indices: Sequence[int], first_id: int, max_frame_bytes: int
) -> Iterable[bytes] | None:
    """The frames of all `indices` as pieces to be joined: one HEADERS and, with a body, one DATA frame each.

    The caller has made sure that bodies fit a frame and the windows. None when a header block does not fit a frame.
    """
    template = job.template
    count = len(indices)
    ids = list(map(PACK_U32, range(first_id, first_id + 2 * count, 2)))
    columns: list[Iterable[bytes]] = []
    constant = sum(map(len, segments))
    varying_lengths: list[list[int]] = []
    pending = segments[0]
    for position, header in enumerate(template.varying):
        values = column_slice(job.columns[position], indices)
        length = job.lengths[position]
        if length is None or header.optional:
            pieces = [_piece(header, value) for value in values]
            varying_lengths.append(list(map(len, pieces)))
            columns += (repeat(pending), pieces)
        else:
            length += len(header.prefix)
            pending += encode_length(length) + header.prefix
            constant += len(encode_length(length)) + length
            columns.append(repeat(pending))
            columns.append(values)  # type: ignore[arg-type]
        pending = segments[position + 1]
    has_body, body_columns, data_prefixes = _body_columns(template, job, indices)
    flags = FLAG_END_HEADERS if has_body else FLAG_END_HEADERS | FLAG_END_STREAM
    if varying_lengths:
        totals = [constant + sum(lengths) for lengths in zip(*varying_lengths, strict=True)]
        if max(totals) > max_frame_bytes:
            return None
        heads: Iterable[bytes] = [frame_prefix(total, HEADERS, flags) for total in totals]
    elif constant > max_frame_bytes:
        return None
    else:
        heads = repeat(frame_prefix(constant, HEADERS, flags))
    if isinstance(data_prefixes, bytes):
        columns.append(repeat(pending + data_prefixes))
    else:
        columns += (repeat(pending), data_prefixes)
    if has_body:
        columns.append(ids)
        columns += body_columns
    return chain.from_iterable(zip(heads, ids, *columns))  # noqa: B905 - repeat() has no end; `ids` sets the length


def _body_columns(
    template: Template, job: RequestJob, indices: Sequence[int]
) -> tuple[bool, list[Iterable[bytes]], bytes | list[bytes]]:
    """Whether there is a DATA frame, its payload's pieces, and the first 5 bytes of its header (one or per request)."""
    body = template.body
    if isinstance(body, bytes):
        if not body:
            return False, [], b""
        return True, [repeat(body)], frame_prefix(len(body), DATA, FLAG_END_STREAM)
    pieces: Sequence[bytes] = column_slice(job.columns[-1], indices)  # type: ignore[assignment]
    around = len(body.prefix) + len(body.suffix)
    length = job.lengths[-1]
    prefixes: bytes | list[bytes]
    if length is not None:
        prefixes = frame_prefix(around + length, DATA, FLAG_END_STREAM)
    else:
        prefixes = [frame_prefix(around + len(piece), DATA, FLAG_END_STREAM) for piece in pieces]
    return True, [*_around(body, pieces)], prefixes


def _around(body: Wrapped, pieces: Sequence[bytes]) -> list[Iterable[bytes]]:
    columns: list[Iterable[bytes]] = [repeat(body.prefix)] if body.prefix else []
    columns.append(pieces)
    if body.suffix:
        columns.append(repeat(body.suffix))
    return columns
