"""Record headers: one table for CloudEvents, tracing and our own, so that writers and readers cannot drift."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

#: Kafka allows a header without a value (KIP-82), so every record from outside may have one.
Headers = Sequence[tuple[str, bytes | None]]

CONTENT_TYPE = "content-type"
AVRO = b"application/avro"
JSON = b"application/json"

# https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md
CE_SPECVERSION = "ce_specversion"
CE_ID = "ce_id"
CE_SOURCE = "ce_source"
CE_TYPE = "ce_type"
CE_TIME = "ce_time"
# https://www.w3.org/TR/trace-context/
TRACEPARENT = "traceparent"
TRACESTATE = "tracestate"

ORIGIN = "push-origin"  # stage and source partition that wrote the record: `plan-urgent/3`
EPOCH = "push-epoch"  # epoch of the writer's claim on that partition, decimal
FENCE = "push-fence"  # present: the record is a fence, not data
PROBE = "push-probe"  # present, with a null value: a marker by which a process asks whether it may write here
LEDGER = "push-ledger"  # receipts: group, send offset, delivery id, so that readers skip others' without decoding
#: When the record was first appended, milliseconds: kept where it is moved or redriven. Its new time says nothing.
APPENDED = "push-appended"
MAX_APPENDED_DIGITS = 15  # of milliseconds until the year 9999; a row holds no more than 64 bits
FORWARDED = "push-forwarded"  # present: moved once to the partition of its key
RUN = "push-run"  # redrive count, decimal

TYPES = {
    "notification": b"dev.pushcast.notification.v1",
    "device_change": b"dev.pushcast.device.changed.v1",
    "device_row": b"dev.pushcast.device.v1",
    "send_batch": b"dev.pushcast.send.v1",
    "planned": b"dev.pushcast.planned.v1",
    "receipt": b"dev.pushcast.receipt.v1",
    "token_invalid": b"dev.pushcast.token.invalid.v1",
    "token_claim": b"dev.pushcast.token.claim.v1",
    "token_owner": b"dev.pushcast.token.owner.v1",
    "token_evict": b"dev.pushcast.token.evict.v1",
    "token_topics": b"dev.pushcast.token.topics.v1",
}


def first(headers: Iterable[tuple[str, bytes | None]] | None, name: str) -> bytes | None:
    """Value of the first header of this name: of repeated headers the first wins, everywhere in Pushcast.

    None without such a header; a null value counts as an empty one.
    """
    for key, value in headers or ():
        if key == name:
            return b"" if value is None else value
    return None


def by_name(headers: Headers) -> dict[str, bytes]:
    """`first` of every name: for who asks for several of them."""
    return {name: value or b"" for name, value in reversed(headers)}


class Stamped(Protocol):
    """A record with Kafka's time of it, in milliseconds."""

    @property
    def timestamp(self) -> int: ...
    @property
    def headers(self) -> Headers: ...


def appended_at(record: Stamped) -> int | None:
    """When a record first came to Kafka, in milliseconds, also after it was moved or redriven; None: nobody knows.

    By the broker's clock on topics that it stamps (`timestamps: broker`). Anybody may write the header: it says nothing
    later than the record's own time, and nothing at all where it is no time.
    """
    at = record.timestamp if record.timestamp > 0 else None
    said = (first(record.headers, APPENDED) if record.headers else None) or b""
    if not said.isdigit() or len(said) > MAX_APPENDED_DIGITS:
        return at
    return int(said) if at is None else min(int(said), at)


def is_probe(value: bytes | None, headers: Iterable[tuple[str, bytes | None]] | None) -> bool:
    """Whether a record is no data but the marker of a process that asks whether it may write."""
    return value is None and first(headers, PROBE) is not None


def is_data(value: bytes | None, headers: Iterable[tuple[str, bytes | None]] | None) -> bool:
    """Whether a record says something of a push or a device: it is neither a fence nor a marker."""
    return first(headers, FENCE) is None and not is_probe(value, headers)


def event(kind: str, event_id: str, source: str, trace: str | None = None) -> list[tuple[str, bytes | None]]:
    """CloudEvents binary-mode headers of a record of `kind` (a schema name), with its trace when there is one."""
    headers: list[tuple[str, bytes | None]] = [
        (CONTENT_TYPE, AVRO),
        (CE_SPECVERSION, b"1.0"),
        (CE_ID, event_id.encode()),
        (CE_SOURCE, source.encode()),
        (CE_TYPE, TYPES[kind]),
    ]
    if trace:
        headers.append((TRACEPARENT, trace.encode()))
    return headers


def origin(stage: str, partition: int, epoch: int) -> list[tuple[str, bytes | None]]:
    """Who wrote a stage's output: needed to void what a fenced-off process still writes."""
    return [(ORIGIN, f"{stage}/{partition}".encode()), (EPOCH, str(epoch).encode())]
