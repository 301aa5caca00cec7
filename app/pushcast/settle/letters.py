"""Dead letters as they are read: ours, and those that Kafka Streams, Kafka Connect and Spring write. Pure.

Header names: Kafka Streams 4.2 `__streams.errors.*`, Kafka Connect `__connect.errors.*` (KIP-298), Spring for Apache
Kafka `kafka_dlt-*` (KafkaHeaders; partition and offset are big-endian integers).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pushcast.model.batch import SendBatch
from pushcast.model.errors import InvalidInput
from pushcast.model.words import Reason
from pushcast.wire import topics
from pushcast.wire.answers.dead_letters import PUSH, STREAMS
from pushcast.wire.events.intake_events import readable_event
from pushcast.wire.headers import APPENDED, RUN
from pushcast.wire.keys import user_of
from pushcast.wire.sending.batches import decode_batch
from pushcast.wire.sending.retries import CAME_FROM, DOUBTFUL, MAX_COUNT, foreign, number

#: The record itself is at fault: sent again as it is, it ends here again, whatever the configuration says by now.
INVALID = frozenset(
    {
        *(Reason.KEY_MISSING, Reason.KEY_NOT_UTF8, Reason.KEY_INVALID, Reason.TOMBSTONE, Reason.NOT_JSON),
        *(Reason.UNKNOWN_FRAME, Reason.UNDECODABLE, Reason.UNKNOWN_FIELD, Reason.INVALID_FIELD),
        *(Reason.RESERVED_DATA_KEY, Reason.TOO_LARGE, Reason.PAYLOAD_TOO_LARGE),
    }
)
CONNECT = "__connect.errors."
SPRING = "kafka_dlt-"
_ERRORS = (PUSH, STREAMS, CONNECT, SPRING)
_SEND, _RETRY = "push.send.", "push.retry."


@dataclass(slots=True)
class Raw:
    """A record of a dead-letter topic, as a consumer hands it over."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]


@dataclass(slots=True)
class Letter:
    """A dead letter. What its headers do not say is None; `family` is pushcast, streams, connect, spring or unknown."""

    raw: Raw
    family: str
    reason: str
    message: str | None
    stage: str | None
    source_topic: str
    source_partition: int | None
    source_offset: int | None
    attempts: int | None
    first_seen_at: int  # Kafka time of the record that became this letter, in milliseconds
    batch: SendBatch | None  # when the value is one
    event: dict[str, Any] | None  # when the value is an intake event that can be read; it may hold a token
    apps: frozenset[str]
    users: frozenset[str]
    notifications: frozenset[str]  # ids
    redriven_from: str | None  # the letter, as `came_from` names it, whose redrive ended here again


def read_letter(raw: Raw) -> Letter:
    """Never fails: a header that cannot be read counts as absent, the first of repeated ones holds."""
    found: dict[str, bytes] = {}
    for name, value in raw.headers:
        if value is not None:
            found.setdefault(name, value)
    own, streams, connect = _texts(found, PUSH), _texts(found, STREAMS), _texts(found, CONNECT)
    spring = _texts(found, SPRING)
    family = (
        "pushcast" if own else "streams" if streams else "connect" if connect else "spring" if spring else "unknown"
    )
    exception = (
        streams.get("exception")
        or connect.get("exception.class.name")
        or connect.get("class.name")
        or spring.get("exception-cause-fqcn")
        or spring.get("exception-fqcn")
    )
    batch = _batch(raw)
    event = _event(raw) if batch is None else None
    name = found.get(CAME_FROM, b"").decode("utf-8", "replace")
    return Letter(
        raw=raw,
        family=family,
        reason=own.get("reason") or (exception or "unknown").rsplit(".", 1)[-1],
        message=streams.get("message") or connect.get("exception.message") or spring.get("exception-message"),
        stage=own.get("stage") or connect.get("stage"),
        source_topic=streams.get("topic")
        or connect.get("topic")
        or spring.get("original-topic")
        or raw.topic.removesuffix(topics.DEAD_LETTER_SUFFIX),
        source_partition=_int(streams.get("partition") or connect.get("partition"))
        if family != "spring"
        else _big_endian(found.get(SPRING + "original-partition")),
        source_offset=_int(streams.get("offset") or connect.get("offset"))
        if family != "spring"
        else _big_endian(found.get(SPRING + "original-offset")),
        attempts=_int(own.get("attempts")),
        first_seen_at=_int(own.get("first-seen")) or max(0, raw.timestamp_ms),
        batch=batch,
        event=event,
        apps=_apps(batch, event),
        users=_users(raw, batch),
        notifications=_notifications(batch, event),
        redriven_from=name if topics.DEAD_LETTER_SUFFIX + "|" in name else None,
    )


def _texts(found: dict[str, bytes], prefix: str) -> dict[str, str]:
    return {
        name.removeprefix(prefix): value.decode("utf-8", "replace")
        for name, value in found.items()
        if name.startswith(prefix)
    }


def _int(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 20 else None


def _big_endian(value: bytes | None) -> int | None:
    return int.from_bytes(value, "big") if value is not None and len(value) in (4, 8) else None


def _batch(raw: Raw) -> SendBatch | None:
    if raw.value is None or not raw.topic.startswith((_SEND, _RETRY, topics.PARKED)):
        return None
    try:
        return decode_batch(raw.value)
    except InvalidInput:
        return None  # that is why it is here


def _event(raw: Raw) -> dict[str, Any] | None:
    """The intake event, when it can be read."""
    return readable_event("device_change" if raw.topic.startswith(topics.DEVICE_CHANGED) else "notification", raw.value)


def _apps(batch: SendBatch | None, event: dict[str, Any] | None) -> frozenset[str]:
    return frozenset(message.app for message in batch.messages) if batch is not None else _text_of(event, "app")


def _users(raw: Raw, batch: SendBatch | None) -> frozenset[str]:
    """Of an event the key, which is the user id of every intake topic."""
    if batch is not None:
        return frozenset(user for message in batch.messages for user in message.targets.user)
    try:
        return frozenset([user_of(raw.key)])
    except InvalidInput:
        return frozenset()


def _notifications(batch: SendBatch | None, event: dict[str, Any] | None) -> frozenset[str]:
    if batch is not None:
        return frozenset(note for message in batch.messages for note in message.notification_ids)
    return _text_of(event, "id")


def _text_of(event: dict[str, Any] | None, name: str) -> frozenset[str]:
    value = (event or {}).get(name)
    return frozenset([value]) if isinstance(value, str) else frozenset()


@dataclass(frozen=True, slots=True)
class Filter:
    """Which letters. Empty sets and None let everything pass. Times in milliseconds, of the first sight."""

    topics: frozenset[str] = frozenset()  # names of source topics
    reasons: frozenset[str] = frozenset()
    apps: frozenset[str] = frozenset()
    users: frozenset[str] = frozenset()
    notifications: frozenset[str] = frozenset()  # ids
    since_ms: int | None = None
    until_ms: int | None = None

    def takes(self, letter: Letter) -> bool:
        """Whether the letter is meant. A filter of apps, users or ids takes no letter in which these cannot be read."""
        return (
            (not self.topics or letter.raw.topic.removesuffix(topics.DEAD_LETTER_SUFFIX) in self.topics)
            and (not self.reasons or letter.reason in self.reasons)
            and (not self.apps or bool(self.apps & letter.apps))
            and (not self.users or bool(self.users & letter.users))
            and (not self.notifications or bool(self.notifications & letter.notifications))
            and (self.since_ms is None or letter.first_seen_at >= self.since_ms)
            and (self.until_ms is None or letter.first_seen_at < self.until_ms)
        )


def came_from(raw: Raw) -> str:
    """Name of a letter in the header of the record that it becomes."""
    return f"{raw.topic}|{raw.partition}|{raw.offset}"


def offset_of(name: bytes, topic: str, partition: int) -> int | None:
    """The offset in a name that `came_from` gave; None for one of another place."""
    place, _, offset = name.rpartition(b"|")
    return int(offset) if place == f"{topic}|{partition}".encode() and offset.isdigit() else None


def redriven_headers(letter: Letter) -> tuple[list[tuple[str, bytes | None]], int]:
    """Headers of the record that a letter becomes, and its run: one more. Error headers are dropped: of repeated
    headers the first one counts, so the reason of a second failure would not be seen."""
    headers = [(name, value) for name, value in letter.raw.headers if value is not None]
    try:
        run = number(headers, RUN, MAX_COUNT) or 0
    except InvalidInput:
        run = 0
    if letter.batch is not None:
        run = max(run, letter.batch.run)
    kept = [header for header in foreign(headers) if not header[0].startswith(_ERRORS)]
    if any(name == DOUBTFUL for name, _ in headers):
        kept.append((DOUBTFUL, b"1"))
    if letter.batch is None and not any(name == APPENDED for name, _ in kept):
        kept.append((APPENDED, b"%d" % letter.first_seen_at))
    return [*kept, (RUN, str(run + 1).encode()), (CAME_FROM, came_from(letter.raw).encode())], run + 1


def in_doubt(letter: Letter) -> bool:
    """Whether its deliveries may have arrived although they ended dead."""
    return letter.reason == "unknown_outcome" or any(name == DOUBTFUL for name, _ in letter.raw.headers)
