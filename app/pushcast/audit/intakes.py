"""Topics of an audit: which it reads, in which order, and whose letters are whose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pushcast.audit.accounts import AccountKey
from pushcast.audit.event_ids import event_id
from pushcast.audit.reckoning import source_word
from pushcast.model.errors import InvalidInput
from pushcast.model.ids import is_user_row
from pushcast.model.words import Lane, Platform, Source
from pushcast.wire import groups, topics
from pushcast.wire.devices.row_fences import is_row
from pushcast.wire.schemas import SchemaSource

#: A producer's clock may be ahead of a planner's, which would then seem to have planned before.
CLOCKS_DIFFER_MS = 15 * 60 * 1000
#: The two sides of every account: what was planned, and how it ended.
BOOKS = (topics.PLANNED, topics.WALKED, topics.RECEIPT)
INTAKES = {topics.notification(lane): lane for lane in Lane}
SENDERS = {topics.send(platform, lane): groups.send(platform, lane) for platform in Platform for lane in Lane}
DEAD = {topics.dead_letter(topic): lane for topic, lane in INTAKES.items()}
INTAKE_OF = {(str(lane), source_word(Source.NOTIFICATION)): topic for topic, lane in INTAKES.items()}
#: In the order in which their ends are asked: what an earlier one says is answered in a later one.
ORDER: Sequence[Sequence[str]] = (tuple(INTAKES), tuple(DEAD), (topics.PLANNED, topics.WALKED), (topics.RECEIPT,))
#: An account in words: lane, source, offset, notification.
Named = tuple[str, str, int, str]


def named(found: Mapping[AccountKey, str]) -> dict[Named, str]:
    """By the words of a listed account."""
    return {(key.lane, source_word(key.source), key.offset, key.notification): topic for key, topic in found.items()}


def id_of(value: bytes | None, schemas: SchemaSource | None = None) -> str | None:
    """Of a notification; None where it cannot be read: the record is a dead letter, or about to be one."""
    if value is None:
        return None
    try:
        found = event_id(value, schemas)
    except InvalidInput:
        return None
    return found if isinstance(found, str) else None


def is_device(key: bytes | None) -> bool:
    """Whether a record of the devices table is one of a device."""
    return key is not None and is_row(key) and not is_user_row(key)
