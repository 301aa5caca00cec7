"""Writing intake events from the command line and reading a user's rows: small tools, not a stage."""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import orjson
from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition

from pushcast.config.settings import Settings
from pushcast.kafka.clients import client_config, open_consumer, open_producer
from pushcast.kafka.producer import produce_when_room
from pushcast.model.device import DeviceState
from pushcast.model.errors import ConfigurationError, InvalidInput, PushcastError
from pushcast.model.ids import device_row_prefix, is_user_row, partition_of
from pushcast.model.plural import counted
from pushcast.model.words import Reason
from pushcast.wire import topics
from pushcast.wire.devices.devices import row_columns
from pushcast.wire.json_errors import written
from pushcast.wire.keys import user_of

_FLUSH_SECONDS = 60.0


class IntakeProducer:
    """Writes events to their user's partition. Leaving the `with` block waits until Kafka has all of them."""

    def __init__(self, settings: Settings, extra: dict[str, Any] | None = None) -> None:
        self._partitions = settings.kafka.partitions
        self._failed: list[str] = []
        client = client_config(settings.kafka.bootstrap_servers, settings.kafka.security, tool=True)
        # The topic refuses, not the client: one clear limit.
        limit = topics.MAX_INTAKE_BYTES + 65_536
        self._producer = open_producer({**client, "linger.ms": 5, "message.max.bytes": limit, **(extra or {})})

    def put(self, topic: str, user: str, value: bytes) -> None:
        """Blocks while the producer's queue is full. Raises InvalidInput for a bad user id or a value over 1 MiB."""
        key = user.encode(errors="surrogateescape")  # an argument that is no UTF-8 comes so, and is refused by name
        user_of(key)
        self.put_keyed(topic, key, value)

    def put_keyed(self, topic: str, key: bytes, value: bytes) -> None:
        """`put` for a record key that is no user's."""
        _check_size(topic, value)
        partition = partition_of(key, self._partitions)
        produce_when_room(self._producer, topic, value, key, partition, partial(self._not_written, topic))

    def _not_written(self, topic: str, why: str) -> None:
        if len(self._failed) < 10:
            self._failed.append(f"{topic}: {why}")

    def __enter__(self) -> IntakeProducer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        left = self._producer.flush(_FLUSH_SECONDS)
        if kind is None and (left or self._failed):
            raise PushcastError(
                f"{counted(left, 'event')} unacknowledged, refused: {'; '.join(self._failed) or 'none'}"
            )


class NoProducer(IntakeProducer):
    """Takes what an `IntakeProducer` takes, refuses what it refuses, and writes nothing."""

    def __init__(self) -> None: ...

    def put_keyed(self, topic: str, key: bytes, value: bytes) -> None:
        """Checks the size alone."""
        _check_size(topic, value)

    def __exit__(self, *_: object) -> None: ...


def put_one(settings: Settings, topic: str, key: bytes, value: bytes) -> int:
    """Writes one event to partition 0 of a topic and returns its offset. Raises PushcastError, and InvalidInput for a
    value over 1 MiB."""
    _check_size(topic, value)
    answers: list[tuple[KafkaError | None, Message]] = []
    client = client_config(settings.kafka.bootstrap_servers, settings.kafka.security, tool=True)
    producer = open_producer({**client, "message.max.bytes": topics.MAX_INTAKE_BYTES + 65_536})
    producer.produce(topic, value, key, 0, on_delivery=lambda error, message: answers.append((error, message)))
    if producer.flush(_FLUSH_SECONDS) or answers[0][0] is not None:
        raise PushcastError(f"{topic} did not take the event: {answers[0][0] if answers else 'no answer'}")
    return answers[0][1].offset() or 0


def _check_size(topic: str, value: bytes) -> None:
    if len(value) > topics.MAX_INTAKE_BYTES:
        raise InvalidInput(
            Reason.TOO_LARGE, f"the event has {len(value)} bytes; {topic} takes at most {topics.MAX_INTAKE_BYTES}"
        )


def event_of(line: bytes) -> tuple[str, dict[str, Any], bytes]:
    """(user, event, record value) of a line of JSON that names its `user`. Raises InvalidInput naming the field."""
    try:
        event = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise InvalidInput(Reason.NOT_JSON, f"not JSON: {error.msg}") from None
    if not isinstance(event, dict) or not isinstance(event.get("user"), str):
        raise InvalidInput(Reason.INVALID_FIELD, "a line is an object with the field user", "user")
    user = event.pop("user")
    return user, event, written(event)


def lines_of(source: Path | BinaryIO) -> Iterator[tuple[int, bytes]]:
    """(line number, line) of every line that is not blank. Raises ConfigurationError for a file that cannot be read."""
    if isinstance(source, Path):
        try:
            file = source.open("rb")
        except OSError as error:
            raise ConfigurationError(f"{source}: {error.strerror}") from error
        with file:
            yield from lines_of(file)
        return
    for number, read in enumerate(source, 1):
        line = read.removeprefix(BOM_UTF8) if number == 1 else read
        if line.strip():
            yield number, line


def rows_of_user(settings: Settings, user: str) -> list[dict[str, Any]]:
    """The user's devices as the compacted topic has them now. Reads the user's whole partition."""
    rows = [{"user": user, **row_columns(value)} for _, value in raw_rows_of_user(settings, user)]
    return [row for row in rows if row["state"] != DeviceState.GONE]


def raw_rows_of_user(settings: Settings, user: str) -> list[tuple[bytes, bytes]]:
    """Keys and encoded rows of devices, by key; with those of removed devices."""
    return [row for row in every_row_of_user(settings, user) if not is_user_row(row[0])]


def own_rows_of_user(settings: Settings, user: str) -> list[tuple[bytes, bytes]]:
    """Keys and encoded rows of what the user has chosen, by key."""
    return [row for row in every_row_of_user(settings, user) if is_user_row(row[0])]


def every_row_of_user(settings: Settings, user: str) -> list[tuple[bytes, bytes]]:
    """Keys and encoded rows of devices and of what the user has chosen, by key. Reads the user's whole partition.

    Blocks. Raises PushcastError and KafkaException when Kafka does not answer."""
    prefix = device_row_prefix(user)
    partition = partition_of(user.encode(), settings.kafka.partitions)
    client = client_config(settings.kafka.bootstrap_servers, settings.kafka.security, tool=True)
    consumer = open_consumer(client, "pushcast-show", enable_partition_eof=True)
    rows: dict[bytes, bytes] = {}
    try:
        consumer.assign([TopicPartition(topics.DEVICE, partition, 0)])
        while True:
            message = consumer.poll(15.0)
            if message is None:
                raise PushcastError(f"no answer from Kafka about {topics.DEVICE} within 15 s")
            if (error := message.error()) is not None:
                if error.code() == KafkaError._PARTITION_EOF:
                    return sorted(rows.items())
                raise KafkaException(error)
            key, value = message.key(), message.value()
            if key is not None and key.startswith(prefix):
                if value is None:
                    rows.pop(key, None)
                else:
                    rows[key] = value
    finally:
        consumer.close()
