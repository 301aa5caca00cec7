"""librdkafka's producer as the outbox wants it: idempotent, never giving up, and which of its errors blame a record."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from pushcast.config.security import KafkaSecurity
from pushcast.kafka import clients
from pushcast.stream.errors import RecordRefused, RecordTooLarge
from pushcast.wire.headers import Headers

#: Larger records are refused here. Smaller ones leave the process, so that the topic's own limit is what refuses them.
MAX_RECORD_BYTES = 8 << 20
#: A batch must fit the smallest `max.message.bytes` of our topics (1 MiB): Kafka refuses it as a whole, and then every
#: record in it, however small, is too large.
BATCH_BYTES = 512 << 10

#: Between two looks whether a tool's record finds room.
_ROOM_SECONDS = 0.1
#: Errors that blame the record; all others blame the cluster or the configuration.
REFUSALS = {KafkaError.MSG_SIZE_TOO_LARGE: "record_too_large", KafkaError.INVALID_RECORD: "invalid_record"}

#: What `produce` raises at once: the queue is full, librdkafka says no, or the client cannot read what it was given.
PRODUCE_ERRORS = (BufferError, KafkaException, TypeError, ValueError, OverflowError)


def open_producer(
    bootstrap_servers: str,
    *,
    security: KafkaSecurity | None,
    linger_seconds: float,
    max_records: int,
    max_bytes: int,
    on_error: Callable[[KafkaError], None],
    extra: dict[str, Any] | None,
) -> Producer:
    """acks=all, records are retried for ever; the queue holds more than twice the bounds. Connects in the background.

    `on_error` is called by whoever polls; `extra` overrides any of the settings.
    """
    return clients.open_producer(
        {
            **clients.client_config(bootstrap_servers, security),
            "message.timeout.ms": 0,
            "linger.ms": linger_seconds * 1000,
            "batch.size": BATCH_BYTES,
            "message.max.bytes": MAX_RECORD_BYTES,
            "queue.buffering.max.messages": max_records * 2 + 10_000,
            "queue.buffering.max.kbytes": max_bytes * 4 // 1024,
            "reconnect.backoff.ms": 50,
            "reconnect.backoff.max.ms": 1000,
            "socket.nagle.disable": True,
            "socket.keepalive.enable": True,
            "error_cb": on_error,
            **(extra or {}),
        }
    )


def refusal_of(error: KafkaError, topic: str, partition: int, size_bytes: int) -> RecordRefused | None:
    """What an error of a delivery report, or of `produce`, says of the record; None when it is not to blame."""
    if error.code() == KafkaError.MSG_SIZE_TOO_LARGE:
        return RecordTooLarge(topic, partition, size_bytes, error.str())
    if error.code() in REFUSALS:
        return RecordRefused(REFUSALS[error.code()], topic, partition, size_bytes, error.str())
    return None


def said_at_once(error: BaseException) -> KafkaError:
    """One of PRODUCE_ERRORS in Kafka's words. What the client cannot read is an invalid record."""
    if isinstance(error, KafkaException):
        found: KafkaError = error.args[0]
        return found
    if isinstance(error, BufferError):
        return KafkaError(KafkaError._QUEUE_FULL)
    return KafkaError(KafkaError.INVALID_RECORD, f"the client cannot read it ({type(error).__name__})")


def beside_the_value(key: bytes | None, headers: Headers | None) -> int:
    """Upper bound of what key and headers add to a record, in bytes.

    Raises UnicodeEncodeError for a header's name that is no text: the client would crash of it.
    """
    return len(key or b"") + sum(len(name.encode()) + len(value or b"") + 10 for name, value in headers or ())


def unfit(
    topic: str,
    partition: int,
    size: int,
    limit: int,
    key: bytes | None,
    headers: Headers | None,
) -> RecordRefused | None:
    """Why a record cannot even be given to the client. `size`: without key and headers."""
    try:
        whole = size + beside_the_value(key, headers)
    except ValueError as error:
        return refusal_of(said_at_once(error), topic, partition, size)
    return RecordTooLarge(topic, partition, whole, f"more than {limit} bytes") if whole > limit else None


def produce_when_room(
    producer: Producer,
    topic: str,
    value: bytes | None,
    key: bytes | None,
    partition: int,
    failed: Callable[[str], None],
    **more: Any,
) -> None:
    """For a tool: gives a record to the client, and waits while its queue is full. `failed` hears why it is not
    written, now or later. `more`: as `Producer.produce` has it."""

    def delivered(error: KafkaError | None, _: Message) -> None:
        if error is not None:
            failed(error.str())

    while True:
        try:
            producer.produce(topic, value, key, partition, delivered, **more)
        except BufferError:
            producer.poll(_ROOM_SECONDS)
        except PRODUCE_ERRORS as error:
            failed(said_at_once(error).str())
            return
        else:
            producer.poll(0)
            return
