"""Dead letters: the record as it came, plus headers that say where it was, who refused it and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

from pushcast import __version__
from pushcast.model.errors import InvalidInput
from pushcast.wire.headers import Headers

MAX_MESSAGE_CHARS = 500
_MAX_OFFSET_DIGITS = 19
STREAMS = "__streams.errors."  # the names that Kafka Streams 4.2 writes, so that its tools read ours
PUSH = "push.errors."
REASON = PUSH + "reason"
_OFFSET = STREAMS + "offset"
_PLACE = frozenset({STREAMS + "topic", STREAMS + "partition", _OFFSET})
#: Present on a letter whose value Kafka would not take, nor perhaps its key and own headers: the whole size in bytes.
STRIPPED = PUSH + "stripped-bytes"


class SourceRecord(Protocol):
    """What a dead letter needs of a consumed record."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None

    @property
    def headers(self) -> Headers: ...


@dataclass(slots=True)
class PlainRecord:
    """A `SourceRecord` of one's own making."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers


class DeadLetter(NamedTuple):
    """A record for `<topic>.dlq`, same partition as its source. In the order in which an outbox takes it."""

    topic: str
    partition: int
    value: bytes | None
    key: bytes | None
    headers: list[tuple[str, bytes | None]]
    timestamp_ms: int


def dead_letter(record: SourceRecord, error: InvalidInput, *, stage: str, attempts: int = 1) -> DeadLetter:
    """Key, value, timestamp and headers stay untouched; error headers that are already there are kept (first wins).

    The place is said behind them all the same: a letter that was copied back as it was is another record now.
    """
    headers: list[tuple[str, bytes | None]] = list(record.headers or ())
    there = {name for name, _ in headers}
    message = str(error)[:MAX_MESSAGE_CHARS].encode()
    added: list[tuple[str, bytes | None]] = [
        (STREAMS + "exception", type(error).__name__.encode()),
        (STREAMS + "message", message),
        (STREAMS + "topic", record.topic.encode()),
        (STREAMS + "partition", str(record.partition).encode()),
        (_OFFSET, str(record.offset).encode()),
        (REASON, error.reason.encode()),
        (PUSH + "stage", stage.encode()),
        (PUSH + "attempts", str(attempts).encode()),
        (PUSH + "first-seen", str(record.timestamp).encode()),
        (PUSH + "app-version", __version__.encode()),
    ]
    if error.field is not None:
        added.append((PUSH + "field", error.field.encode()))
    headers += [header for header in added if header[0] not in there or header[0] in _PLACE]
    return DeadLetter(
        f"{record.topic}.dlq", record.partition, record.value, record.key, headers, max(0, record.timestamp)
    )


def refused_offset(headers: Headers) -> int | None:
    """Of the record that became this letter: the last that is said. None: nobody says, or it is no offset."""
    said = next((value for name, value in reversed(headers) if name == _OFFSET), None)
    return int(said) if said is not None and said.isdigit() and len(said) <= _MAX_OFFSET_DIGITS else None


def without_value(letter: DeadLetter, size_bytes: int) -> DeadLetter:
    """The letter that is left when Kafka refused the whole of this size: its key and all headers."""
    return letter._replace(value=None, headers=[*letter.headers, (STRIPPED, b"%d" % size_bytes)])


def without_headers(letter: DeadLetter, _size_bytes: int) -> DeadLetter:
    """The letter that is left when its key or the record's own headers are too large as well: error headers alone."""
    ours = [header for header in letter.headers if header[0].startswith((STREAMS, PUSH))]
    return letter._replace(value=None, key=None, headers=ours)
