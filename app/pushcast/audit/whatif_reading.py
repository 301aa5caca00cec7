"""What `pushcast whatif` reads: records of before, and rows of now."""

from __future__ import annotations

from typing import Final, cast

from confluent_kafka import Message

from pushcast.audit.rehearsed_fates import Past
from pushcast.config.settings import Settings
from pushcast.handover.reading import SpanReader
from pushcast.kafka.headers import headers_of
from pushcast.kafka.positions import Positions, Spot
from pushcast.model.errors import InvalidInput
from pushcast.model.words import Lane
from pushcast.wire import topics
from pushcast.wire.control.control import Kind
from pushcast.wire.devices.row_fences import is_row
from pushcast.wire.keys import user_of

#: Orders of broadcasts.
WALKS: Final = frozenset(map(topics.walk, Lane))
_HALTS: Final = tuple(f"{kind}/".encode() for kind in (Kind.CANCEL, Kind.STOP, Kind.HOLD))
#: By user, in the order of their keys.
Rows = dict[str, list[tuple[bytes, bytes]]]


async def read_records(
    settings: Settings, positions: Positions, spot: Spot, since_ms: int, user: str | None, limit: int
) -> tuple[list[Past], int]:
    """And how many there are beyond the limit. Orders are everybody's."""
    reader = SpanReader(settings.kafka.bootstrap_servers, settings.kafka.security)
    end = (await reader.ends([spot]))[spot]
    start = positions.at({spot: since_ms}).get(spot, end)
    found: list[Past] = []
    beyond = 0

    def take(message: Message) -> None:
        nonlocal beyond
        key, value = message.key(), message.value()
        own = key if isinstance(key, bytes) else None
        is_order = spot[0] in WALKS
        if (is_order and value is None) or (not is_order and user is not None and user_in(own) != user):
            return  # a fence, or another user's
        if len(found) == limit:
            beyond += 1
            return
        offset = cast(int, message.offset())
        found.append(Past(spot[0], offset, own, value, headers_of(message), int(message.timestamp()[1])))

    await reader.read({spot: (start, end)}, take)
    return found, beyond


async def read_halts(settings: Settings) -> list[Past]:
    """What the control topic says of campaigns that are cancelled, and of broadcasts that are stopped or held, or are
    no longer."""
    spot = topics.CONTROL, 0
    reader = SpanReader(settings.kafka.bootstrap_servers, settings.kafka.security)
    end = (await reader.ends([spot]))[spot]
    found: list[Past] = []

    def take(message: Message) -> None:
        key, value = message.key(), message.value()
        if isinstance(key, bytes) and key.startswith(_HALTS):
            found.append(Past(topics.CONTROL, cast(int, message.offset()), key, value, (), int(message.timestamp()[1])))

    await reader.read({spot: (0, end)}, take)
    return found


async def read_rows(settings: Settings, partition: int, users: set[str], others: int) -> tuple[Rows, int]:
    """Of these users, by user, in the order of their keys, and at most `others` of anybody else; how many are beyond
    that, where others are asked for."""
    spot = topics.DEVICE, partition
    reader = SpanReader(settings.kafka.bootstrap_servers, settings.kafka.security)
    end = (await reader.ends([spot]))[spot]
    rows: dict[bytes, bytes] = {}
    taken: set[str] = set()  # of the others, whole
    count, beyond = 0, set[int]()

    def take(message: Message) -> None:
        nonlocal count
        key, value = message.key(), message.value()
        if not isinstance(key, bytes) or not is_row(key):
            return
        user = _user_of_row(key)
        if user not in users and user not in taken:
            if count >= others:
                # Of keys that nobody keeps their hash has to do.
                (beyond.add if isinstance(value, bytes) else beyond.discard)(hash(key))
                return
            taken.add(user)
        count += user in taken and key not in rows
        if isinstance(value, bytes):
            rows[key] = value
        else:
            rows.pop(key, None)

    await reader.read({spot: (0, end)}, take)
    found: Rows = {}
    for key in sorted(rows):
        found.setdefault(_user_of_row(key), []).append((key, rows[key]))
    return found, len(beyond) if others else 0


def _user_of_row(key: bytes) -> str:
    return key.partition(b"\0")[0].decode("utf-8", "replace")


def user_in(key: bytes | None) -> str:
    """Empty for what is no user's key."""
    try:
        return user_of(key)
    except InvalidInput:
        return ""
