"""Users who are forgotten: what lies under their names moves to nobody's, so that sums stay right without them. Pure.

A row is not removed: a copy of its receipt, or a redrive, must still find that the delivery was counted. What is left
names neither user nor device. Which owner a row has depends on its own times and on until when the user is forgotten,
and on nothing else: receipt, engagement and forgetting may come in any order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from pushcast.model.device import DeviceChange, Operation
from pushcast.report import engaged, rows
from pushcast.report.pending import PendingRows, StoredRows
from pushcast.wire import topics
from pushcast.wire.answers.dead_letters import PlainRecord
from pushcast.wire.devices.devices import DeviceChangeDecoder
from pushcast.wire.events.event_forms import is_json
from pushcast.wire.headers import Headers, appended_at
from pushcast.wire.keys import user_of
from pushcast.wire.schemas import FRAME_BYTES, SINGLE_OBJECT_MARKER, lock

#: Owner of rows whose user is forgotten. No user has this name.
NOBODY: Final = b""
#: An op in JSON may be written with escapes; then the text says nothing.
_ESCAPE: Final = b"\\u"


def read_forgetting(
    decoder: DeviceChangeDecoder, value: bytes, key: bytes | None, timestamp_ms: int, headers: Headers = ()
) -> DeviceChange | None:
    """None: another change, which means nothing here. Raises InvalidInput.

    Its `at` is believed as far as REGISTER believes it, up to when it came to Kafka: a clock that is ahead would take
    the user's later deliveries from their history, too.
    """
    if not may_forget(value):
        return None
    came_at = appended_at(PlainRecord(topics.DEVICE_CHANGED, 0, 0, timestamp_ms, key, value, headers))
    change = decoder.decode_forgetting(user_of(key), value, timestamp_ms if came_at is None else came_at)
    if change is None or came_at is None:
        return change
    return msgspec.structs.replace(change, at=min(change.at, came_at))


def may_forget(value: bytes) -> bool:
    """False for what is certainly another op: nearly everything in the topic, and told without decoding it.

    Avro has the op as a number. In a schema that is not ours (a Confluent frame) it may be anywhere."""
    if is_json(value):
        return Operation.FORGET_USER.encode() in value or _ESCAPE in value
    expected = _FORGETTING.get(value[:FRAME_BYTES])
    return expected is None or value.startswith(expected, FRAME_BYTES)


def _forgetting() -> Mapping[bytes, bytes]:
    """By frame of each release of the schema: what stands behind it when the user is to be forgotten."""
    found: dict[bytes, bytes] = {}
    for release in lock()["device_change"]:
        first = release["schema"]["fields"][0]
        if first["name"] == "op":
            # https://avro.apache.org/docs/1.12.0/specification/#enums-1: the place among the symbols, zigzag
            number = first["type"]["symbols"].index(Operation.FORGET_USER)
            found[SINGLE_OBJECT_MARKER + bytes.fromhex(release["fingerprint"])] = bytes([number << 1])
    return found


_FORGETTING: Final = _forgetting()


def until_of(changes: PendingRows, user: bytes) -> int:
    """Until when the user is forgotten; 0 for never."""
    return int.from_bytes(changes.get(rows.forgotten_key(user)) or b"") if changes.forgets else 0


def owner(user: bytes, at_ms: int, until: int) -> bytes:
    """Under whose name a row of this time lies."""
    return NOBODY if at_ms <= until else user


def take_forgettings(changes: PendingRows, forgettings: list[DeviceChange]) -> None:
    """Who is forgotten has no history before it; sums stay."""
    for change in forgettings:
        user = change.user.encode()
        changes.forgets = True
        until = max(change.at, until_of(changes, user))
        changes.put(rows.forgotten_key(user), until.to_bytes(8))
        for key, value in _of_user(changes, rows.DELIVERY, user):
            row = rows.delivery_of(value)
            if row.created_at <= until:
                changes.put(key, None)
                changes.put(_nobodys(key, user), rows.encode_delivery_row(msgspec.structs.replace(row, device=None)))
        for key, value in _of_user(changes, rows.ENGAGED, user):
            if engaged.first_of(engaged.told_in(value)) <= until:
                changes.put(key, None)
                changes.put(_nobodys(key, user), value)


def _of_user(changes: PendingRows, prefix: bytes, user: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Rows of all days, or buckets, that there are of a user."""
    for part in _parts(changes.stored, prefix):
        yield from changes.under(prefix + part + user + b"\0")


def _parts(stored: StoredRows, prefix: bytes) -> Iterator[bytes]:
    """The days, or buckets, under this prefix: one look for each."""
    start = prefix
    while (found := next(stored.scan(start, prefix), None)) is not None:
        part = found[0][1:3]
        yield part
        if part == b"\xff\xff":
            return
        start = prefix + (int.from_bytes(part) + 1).to_bytes(2)


def _nobodys(key: bytes, user: bytes) -> bytes:
    return key[:3] + NOBODY + key[3 + len(user) :]
