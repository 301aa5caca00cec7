"""The devices topic as anybody may read it: the last row of each key."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from confluent_kafka import Consumer, KafkaException, TopicPartition

from pushcast.config.settings import Settings
from pushcast.handover.fences import Fences, author_of
from pushcast.kafka.offsets import watermarks
from pushcast.model.ids import is_user_row
from pushcast.wire import topics
from pushcast.wire.devices.devices import is_gone
from pushcast.wire.devices.row_reader import active_device
from pushcast.wire.headers import Headers

QUIET_POLLS = 20
POLL_SECONDS = 0.5


class Rows:
    """The last row of each key that counts: fences are none, and what is void was written by a fenced-off registrar."""

    def __init__(self) -> None:
        self._values: dict[bytes, bytes | None] = {}
        self._fences: dict[int, Fences] = {}

    def add(self, partition: int, offset: int, key: bytes, value: bytes | None, headers: Headers | None) -> None:
        """Records of a partition in their order."""
        if self._fences.setdefault(partition, Fences()).admit(author_of(headers), offset):
            self._values[key] = value

    def active(self) -> set[tuple[str, str]]:
        """(user, device) of every row that planners would plan for."""
        return _owners(key for key, value in self._values.items() if value is not None and active_device(key, value))

    def known(self) -> set[tuple[str, str]]:
        """(user, device) of every row, suspended ones too."""
        rows = [(key, value) for key, value in self._values.items() if value is not None and not is_user_row(key)]
        return _owners(key for key, value in rows if not is_gone(value))


def _owners(keys: Iterable[bytes]) -> set[tuple[str, str]]:
    return {(user.decode(), device.decode()) for user, _, device in (key.split(b"\0") for key in keys)}


def read_rows(settings: Settings) -> Rows:
    """As they are now. Raises KafkaException, PushcastError, TimeoutError."""
    consumer = Consumer(
        {
            "bootstrap.servers": settings.kafka.bootstrap_servers,
            "group.id": "faults-devices",
            "enable.auto.commit": False,
            "fetch.wait.max.ms": 20,
        }
    )
    rows = Rows()
    try:
        ends = {}
        for partition in range(settings.kafka.partitions):
            low, high = watermarks(consumer, topics.DEVICE, partition)
            if low < high:
                ends[partition] = high
        consumer.assign([TopicPartition(topics.DEVICE, partition, 0) for partition in ends])
        quiet = 0
        while ends:
            messages = consumer.consume(1000, POLL_SECONDS)
            quiet = 0 if messages else quiet + 1
            if quiet > QUIET_POLLS:
                raise TimeoutError(f"{topics.DEVICE} does not end")
            for message in messages:
                if message.error():
                    raise KafkaException(message.error())
                key, at_partition, offset = message.key(), message.partition(), message.offset()
                assert key is not None
                assert at_partition is not None
                assert offset is not None
                headers = cast("Headers | None", message.headers())
                rows.add(at_partition, offset, key, message.value(), headers)
                if offset + 1 >= ends.get(at_partition, 0):
                    ends.pop(at_partition, None)
    finally:
        consumer.close()
    return rows
