"""What the command line does with topics that every process reads whole: reads them, and writes single records."""

from __future__ import annotations

import asyncio
from typing import Final

from confluent_kafka import KafkaError, Message

from pushcast.config.settings import Settings
from pushcast.kafka.clients import client_config, open_producer
from pushcast.kafka.control import ControlTail, FollowedControl
from pushcast.stream.errors import KafkaLayerError
from pushcast.wire import topics
from pushcast.wire.control.control import Entry, Name, Subject, encode
from pushcast.wire.control.control_reader import decode, parse_key
from pushcast.wire.control.control_state import ControlState

READ_SECONDS: Final = 15.0
WRITE_SECONDS: Final = 15.0


class ControlNotWritten(KafkaLayerError):
    """Kafka did not take the record in time: nothing has changed, or it is not known."""


def read_state(settings: Settings, topic: str = topics.CONTROL) -> ControlState:
    """What holds now. Blocks. Raises ControlUnreadable."""
    state = ControlState()
    read_whole(settings, topic, state)
    return state


def read_whole(settings: Settings, topic: str, state: FollowedControl) -> None:
    """Applies every record of a topic with one partition. Blocks. Raises ControlUnreadable."""

    def failed(_: str, error: BaseException) -> None:
        raise error

    async def read() -> None:
        tail = ControlTail(settings.kafka.bootstrap_servers, settings.kafka.security, state, fatal=failed, topic=topic)
        await tail.start(READ_SECONDS)
        await tail.close()

    asyncio.run(read())


def write(settings: Settings, subject: Subject | Name, entry: Entry | None, topic: str = topics.CONTROL) -> None:
    """Says what holds, or with None that it is over. Blocks until Kafka has it. Raises InvalidInput and writes nothing
    where readers would ignore it: a stop that no process obeys must not look like one. Raises ControlNotWritten."""
    key, value = subject.key(), None if entry is None else encode(entry)
    parse_key(key)
    if value is not None:
        decode(subject, value)
    write_record(settings, topic, key, value)


def write_within_limit(settings: Settings, subject: Subject | Name, entry: Entry | None) -> None:
    """`write` to the control topic, unless its readers would ignore the record because they know so many of its kind.

    Blocks. Raises InvalidInput (too_many), ControlUnreadable, ControlNotWritten.
    """
    if entry is not None:
        read_state(settings).check_room(subject)
    write(settings, subject, entry)


def write_record(settings: Settings, topic: str, key: bytes, value: bytes | None) -> None:
    """Writes one record to a topic with one partition. Blocks until Kafka has it. Raises ControlNotWritten."""
    refused: list[str] = []

    def delivered(error: KafkaError | None, _: Message) -> None:
        if error is not None:
            refused.append(error.str())

    client = client_config(settings.kafka.bootstrap_servers, settings.kafka.security, tool=True)
    producer = open_producer(client, message_timeout_ms=int(WRITE_SECONDS * 1000))
    producer.produce(topic, value, key, 0, on_delivery=delivered)
    left = producer.flush(WRITE_SECONDS + 1)
    if left or refused:
        raise ControlNotWritten(f"{topic} did not take the record: {refused[0] if refused else 'no answer'}")
