"""Fetch requests and their answers as bytes, read and written with one `struct` for a partition.

aiokafka walks through its schema field by field, and every request and every answer names all assigned partitions: for
the sixty-four of a keeper that took 0.6 ms of each record's way, and more than two for three hundred.
"""

from __future__ import annotations

from io import BytesIO
from struct import Struct, error
from typing import Any, Final

from aiokafka import conn
from aiokafka.protocol.fetch import FetchRequest_v11, FetchResponse_v11

_REQUEST: Final = Struct(">iiiibiii")
_ASKED: Final = Struct(">iiqqi").pack
_RESPONSE: Final = Struct(">ihii")
#: Behind the aborted transactions: preferred replica, bytes of records.
_RECORDS: Final = Struct(">ii")
_ABORTED: Final = Struct(">qq")
#: Partition, error, end of the log, end of what is committed, its beginning, how many aborted transactions; and what is
#: behind them, where there are none.
_ANSWERED: Final = Struct(">ihqqqiii")
#: Of an answer that are read before its connection pauses: twice as many. A sender fetches megabytes, which
#: aiokafka reads with a pause after each 128 KiB.
READ_AHEAD_BYTES: Final = 4 << 20
_INT: Final = Struct(">i")
_SHORT: Final = Struct(">h")


def encode_request(request: Any) -> bytes:
    """As the schema of version 11 encodes it. Raises ValueError for what has no place in its fields."""
    try:
        parts = [
            _REQUEST.pack(
                request.replica_id,
                request.max_wait_time,
                request.min_bytes,
                request.max_bytes,
                request.isolation_level,
                request.session_id,
                request.session_epoch,
                len(request.topics),
            )
        ]
        for topic, partitions in request.topics:
            parts += _string(topic), _INT.pack(len(partitions))
            parts += [_ASKED(*each) for each in partitions]
        parts.append(_INT.pack(len(request.forgotten_topics_data)))
        for topic, numbers in request.forgotten_topics_data:
            parts += _string(topic), _INT.pack(len(numbers)), *map(_INT.pack, numbers)
        parts.append(_string(request.rack_id))
    except error as exc:
        raise ValueError(f"a fetch request cannot be encoded: {exc}") from exc
    return b"".join(parts)


def _string(text: str) -> bytes:
    encoded = text.encode()
    return _SHORT.pack(len(encoded)) + encoded


def decode_response(data: BytesIO | bytes) -> Any:
    """As the schema of version 11 decodes it. Raises ValueError when it ends too early, or is none."""
    stream = BytesIO(data) if isinstance(data, bytes) else data
    view, at = stream.getbuffer(), stream.tell()
    try:
        throttle_ms, code, session, count = _RESPONSE.unpack_from(view, at)
        topics, at = [], at + _RESPONSE.size
        for _ in range(count):
            (size,) = _SHORT.unpack_from(view, at)
            topic, at = _taken(view, at + _SHORT.size, size).decode(), at + _SHORT.size + size
            (partitions,) = _INT.unpack_from(view, at)
            found, at = [], at + _INT.size
            for _ in range(partitions):
                answer, at = _partition(view, at)
                found.append(answer)
            topics.append((topic, found))
    except error as exc:
        raise ValueError(f"a fetch response cannot be decoded: {exc}") from exc
    return FetchResponse_v11(throttle_ms, code, session, topics)


def _partition(view: memoryview, at: int) -> tuple[tuple[Any, ...], int]:
    number, code, end, committed_end, begins, aborted, replica, size = _ANSWERED.unpack_from(view, at)
    at += _ANSWERED.size
    transactions: list[tuple[int, int]] | None = None if aborted < 0 else []
    if aborted > 0:
        at -= _RECORDS.size
        transactions = [_ABORTED.unpack_from(view, at + _ABORTED.size * each) for each in range(aborted)]
        at += _ABORTED.size * aborted
        replica, size = _RECORDS.unpack_from(view, at)
        at += _RECORDS.size
    records = None if size < 0 else _taken(view, at, size) if size else b""
    return (number, code, end, committed_end, begins, transactions, replica, records), at + max(0, size)


def _taken(view: memoryview, at: int, size: int) -> bytes:
    if size < 0 or at + size > len(view):
        raise ValueError("a fetch response ends too early")
    return bytes(view[at : at + size])


def install() -> None:
    """Has every aiokafka consumer of this process fetch so. Called more than once it changes nothing."""
    connection: Any = conn
    connection.READER_LIMIT = READ_AHEAD_BYTES
    request: Any = FetchRequest_v11
    response: Any = FetchResponse_v11
    request.encode = encode_request
    response.decode = staticmethod(decode_response)
