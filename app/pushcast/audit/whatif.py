"""Last week's events under two configurations: who would have got what (`pushcast whatif`)."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast

from confluent_kafka import Message

from pushcast.audit.rehearsal import EventFate, Past, Rehearsal
from pushcast.config.settings import Settings
from pushcast.handover.reading import SpanReader
from pushcast.kafka.clients import client_config, open_admin
from pushcast.kafka.headers import headers_of
from pushcast.kafka.positions import Positions, Spot
from pushcast.model.errors import InvalidInput
from pushcast.model.ids import partition_of
from pushcast.model.words import Lane
from pushcast.wire import topics
from pushcast.wire.control.control import Kind
from pushcast.wire.keys import user_of

#: Changes that are listed one by one.
MAX_LISTED = 100
#: What is rehearsed. Of two records of one time a cancel comes first.
READ: Final = (topics.CANCEL, topics.ENGAGEMENT, *map(topics.notification, Lane))

_CAMPAIGN: Final = f"{Kind.CANCEL}/".encode()

Rows = dict[str, list[tuple[bytes, bytes]]]


@dataclass
class Comparison:
    """`fates`: how many events went from one fate to another; equal ones, too. `changed`: some that differ."""

    events: int = 0
    sent_before: int = 0
    sent_after: int = 0
    later: int = 0  # the same fate, and another hour
    digests_before: int = 0  # pushes
    digests_after: int = 0
    fates: Counter[tuple[str, str]] = field(default_factory=Counter)
    changed: list[dict[str, Any]] = field(default_factory=list)

    def add(self, before: Sequence[EventFate], after: Sequence[EventFate]) -> None:
        """The same events under both configurations, in the same order."""
        for old, new in zip(before, after, strict=True):
            words = old.words(), new.words()
            self.events += 1
            self.sent_before += len(old.leaves)
            self.sent_after += len(new.leaves)
            self.fates[words] += 1
            differs = words[0] != words[1]
            self.later += not differs and old.leaves != new.leaves
            if (differs or old.leaves != new.leaves) and len(self.changed) < MAX_LISTED:
                self.changed.append(
                    {
                        "user": new.user or old.user,
                        "notification": new.notification or old.notification,
                        "before": words[0],
                        "after": words[1],
                        "left_at_before": max(old.leaves, default=None),
                        "left_at_after": max(new.leaves, default=None),
                    }
                )

    def add_digests(self, before: Sequence[EventFate], after: Sequence[EventFate]) -> None:
        """Pushes in which several events left together."""
        self.digests_before += len(before)
        self.digests_after += len(after)
        self.sent_before += sum(len(each.leaves) for each in before)
        self.sent_after += sum(len(each.leaves) for each in after)

    def to_dict(self) -> dict[str, Any]:
        """For JSON. Times are milliseconds since the epoch."""
        return {
            "events": self.events,
            "sent_before": self.sent_before,
            "sent_after": self.sent_after,
            "same_fate_at_another_time": self.later,
            "digests_before": self.digests_before,
            "digests_after": self.digests_after,
            "fates": [
                {"before": before, "after": after, "events": count}
                for (before, after), count in self.fates.most_common()
            ],
            "changed": self.changed,
        }


async def compare(
    before: Settings, after: Settings, partition: int, past: Sequence[Past], rows: Rows, found: Comparison
) -> None:
    """Rehearses these records of one partition under both; they are in the order of their times."""
    old, new = (Rehearsal(each, partition, rows) for each in (before, after))
    found.add(await old.fates(past), await new.fates(past))
    found.add_digests(old.gathered, new.gathered)


def whatif(
    before: Settings, after: Settings, since_ms: int, *, user: str | None = None, limit: int = 100_000
) -> Comparison:
    """Reads the intake topics, cancels and what users read from then on, at most `limit` records of each topic and
    partition, the cancels of campaigns that Kafka still has, and the rows of their users as they are now. Nothing is
    written. Blocks. Raises KafkaException, TailUnreadable."""
    kafka = before.kafka
    positions = Positions(open_admin(client_config(kafka.bootstrap_servers, kafka.security, tool=True)))
    partitions: Iterable[int] = range(kafka.partitions)
    if user is not None:
        partitions = (partition_of(user.encode(), kafka.partitions),)
    found, called_off = Comparison(), asyncio.run(_campaigns(before))
    for partition in partitions:
        past: list[Past] = []
        for topic in READ:
            past += asyncio.run(_records(before, positions, (topic, partition), since_ms, user, limit))
        if past:
            past = [*called_off, *past]  # of one time a cancel comes first
            rows = asyncio.run(_rows(before, partition, {_user(each.key) for each in past}))
            asyncio.run(compare(before, after, partition, sorted(past, key=lambda each: each.at_ms), rows, found))
    return found


async def _records(
    settings: Settings, positions: Positions, spot: Spot, since_ms: int, user: str | None, limit: int
) -> list[Past]:
    reader = SpanReader(settings.kafka.bootstrap_servers, settings.kafka.security)
    end = (await reader.ends([spot]))[spot]
    start = positions.at({spot: since_ms}).get(spot, end)
    found: list[Past] = []

    def take(message: Message) -> None:
        key = message.key()
        own = key if isinstance(key, bytes) else None
        if len(found) < limit and (user is None or _user(own) == user):
            value, offset = message.value(), cast(int, message.offset())
            found.append(Past(spot[0], offset, own, value, headers_of(message), int(message.timestamp()[1])))

    await reader.read({spot: (start, end)}, take)
    return found


async def _campaigns(settings: Settings) -> list[Past]:
    """What the control topic says of campaigns that are cancelled, or are no longer."""
    spot = topics.CONTROL, 0
    reader = SpanReader(settings.kafka.bootstrap_servers, settings.kafka.security)
    end = (await reader.ends([spot]))[spot]
    found: list[Past] = []

    def take(message: Message) -> None:
        key, value = message.key(), message.value()
        if isinstance(key, bytes) and key.startswith(_CAMPAIGN):
            found.append(Past(topics.CONTROL, cast(int, message.offset()), key, value, (), int(message.timestamp()[1])))

    await reader.read({spot: (0, end)}, take)
    return found


async def _rows(settings: Settings, partition: int, users: set[str]) -> Rows:
    """Of these users, by user, in the order of their keys."""
    spot = topics.DEVICE, partition
    reader = SpanReader(settings.kafka.bootstrap_servers, settings.kafka.security)
    end = (await reader.ends([spot]))[spot]
    rows: dict[bytes, bytes] = {}

    def take(message: Message) -> None:
        key, value = message.key(), message.value()
        if not isinstance(key, bytes) or key.partition(b"\0")[0].decode("utf-8", "replace") not in users:
            return
        if isinstance(value, bytes):
            rows[key] = value
        else:
            rows.pop(key, None)

    await reader.read({spot: (0, end)}, take)
    found: Rows = {}
    for key in sorted(rows):
        found.setdefault(key.partition(b"\0")[0].decode("utf-8", "replace"), []).append((key, rows[key]))
    return found


def _user(key: bytes | None) -> str:
    try:
        return user_of(key)
    except InvalidInput:
        return ""
