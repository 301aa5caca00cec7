"""Consumer records made by hand."""

from __future__ import annotations

from aiokafka import ConsumerRecord


def record(
    offset: int,
    value: bytes | None = b"v",
    key: bytes | None = b"k",
    *,
    topic: str = "t",
    partition: int = 0,
    timestamp_ms: int | None = None,
) -> ConsumerRecord[bytes | None, bytes | None]:
    """A record as the fetcher makes it; its timestamp is its offset unless given."""
    return ConsumerRecord(
        topic,
        partition,
        offset,
        offset if timestamp_ms is None else timestamp_ms,
        0,
        key,
        value,
        None,
        -1 if key is None else len(key),
        -1 if value is None else len(value),
        (),
    )
