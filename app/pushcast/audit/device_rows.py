"""Every device row as the devices topic has it now, partition by partition, for tools."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b
from typing import NamedTuple

from confluent_kafka import Message

from pushcast.config.settings import Settings
from pushcast.handover.fences import Fences, author_of
from pushcast.kafka.clients import client_config
from pushcast.kafka.headers import headers_of
from pushcast.model.device import DeviceRow
from pushcast.model.errors import InvalidInput
from pushcast.model.ids import is_user_row, split_device_row_key
from pushcast.settle.logs import Logs
from pushcast.wire import topics
from pushcast.wire.devices.devices import decode_row
from pushcast.wire.devices.row_fences import is_row


class Found(NamedTuple):
    """A row with its user; None for one that cannot be read."""

    partition: int
    user: str
    row: DeviceRow | None


def device_rows(settings: Settings) -> Iterator[Found]:
    """Rows of devices, gone ones among them, in no order within a partition. What a fenced-off registrar wrote is left
    out. Reads each partition twice and remembers about 150 bytes a row of it. Raises PushcastError."""
    for _, rows in by_partition(settings):
        yield from rows


def by_partition(settings: Settings, without: frozenset[int] = frozenset()) -> Iterator[tuple[int, Iterator[Found]]]:
    """The same, a partition after the other; each is to be read before the next is asked for. `without`: partitions
    that are left out."""
    logs = Logs(client_config(settings.kafka.bootstrap_servers, settings.kafka.security, tool=True))
    try:
        for _, partition in logs.filled([topics.DEVICE]):
            if partition not in without:
                yield partition, _rows(logs, partition)
    finally:
        logs.close()


def _rows(logs: Logs, partition: int) -> Iterator[Found]:
    last = _last(logs, topics.DEVICE, partition)
    for message in logs.read(topics.DEVICE, partition):
        key, value = message.key(), message.value()
        if key is not None and value is not None and last.get(_name(key)) == message.offset():
            yield Found(partition, split_device_row_key(key)[0], _row(value))


def _last(logs: Logs, topic: str, partition: int) -> dict[bytes, int]:
    """By the hash of a key, the offset of its last record that counts."""
    last: dict[bytes, int] = {}
    fences = Fences()
    for message in logs.read(topic, partition):
        key, offset = message.key(), message.offset()
        if offset is None or not _counts(fences, message, offset):
            continue
        if key is not None and is_row(key) and not is_user_row(key):
            last[_name(key)] = offset
    return last


def _counts(fences: Fences, message: Message, offset: int) -> bool:
    try:
        return fences.admit(author_of(headers_of(message)), offset)
    except InvalidInput:
        return True  # nobody's: nothing voids it


def _name(key: bytes) -> bytes:
    return blake2b(key, digest_size=12).digest()


def _row(value: bytes) -> DeviceRow | None:
    try:
        return decode_row(value)
    except InvalidInput:
        return None
