"""Dead letters: the record as it came, plus headers that say where it was, who refused it and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from pushcast import __version__
from pushcast.model.errors import InvalidInput

MAX_MESSAGE_CHARS = 500
STREAMS = "__streams.errors."  # the names that Kafka Streams 4.2 writes, so that its tools read ours
PUSH = "push.errors."


class SourceRecord(Protocol):
    """What a dead letter needs of a consumed record."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


@dataclass(slots=True)
class PlainRecord:
    """A `SourceRecord` of one's own making."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


class DeadLetter(NamedTuple):
    """A record for `<topic>.dlq`, same partition as its source. In the order in which an outbox takes it."""

    topic: str
    partition: int
    value: bytes | None
    key: bytes | None
    headers: list[tuple[str, bytes]]
    timestamp_ms: int


def dead_letter(record: SourceRecord, error: InvalidInput, *, stage: str, attempts: int = 1) -> DeadLetter:
    """Key, value, timestamp and headers stay untouched; error headers that are already there are kept (first wins)."""
    headers = list(record.headers or ())
    there = {name for name, _ in headers}
    message = str(error)[:MAX_MESSAGE_CHARS].encode()
    added = [
        (STREAMS + "exception", type(error).__name__.encode()),
        (STREAMS + "message", message),
        (STREAMS + "topic", record.topic.encode()),
        (STREAMS + "partition", str(record.partition).encode()),
        (STREAMS + "offset", str(record.offset).encode()),
        (PUSH + "reason", error.reason.encode()),
        (PUSH + "stage", stage.encode()),
        (PUSH + "attempts", str(attempts).encode()),
        (PUSH + "first-seen", str(record.timestamp).encode()),
        (PUSH + "app-version", __version__.encode()),
    ]
    if error.field is not None:
        added.append((PUSH + "field", error.field.encode()))
    headers += [header for header in added if header[0] not in there]
    return DeadLetter(
        f"{record.topic}.dlq", record.partition, record.value, record.key, headers, max(0, record.timestamp)
    )
