"""How every stage stands, asked of the cluster: the lag of a stage that is down has nobody else to tell it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import Message

from pushcast.audit.why import plain
from pushcast.config.settings import Settings
from pushcast.handover.reading import Span, SpanReader
from pushcast.kafka.clients import client_config
from pushcast.kafka.positions import Members, Spot, open_positions, unfinished
from pushcast.kafka.transactions import open_since
from pushcast.transport.probes import TRANSACTION_SECONDS
from pushcast.wire import topics
from pushcast.wire.headers import is_data
from pushcast.wire.newer import INTERNAL, newer_schema
from pushcast.wire.times import rfc3339

HOUR_MS = 3_600_000
#: Of a partition whose group lags by more, the offsets are counted and not the records.
COUNTED_RECORDS = 200


@dataclass(frozen=True, slots=True)
class GroupLag:
    """One consumer group. Lag counts records that it has not finished; where they are many, fences among them."""

    group: str
    members: Members
    lag: Mapping[str, int]  # by topic
    oldest_ms: int | None = None  # Kafka time of the oldest of them
    #: By topic: partitions with records of which the group has no offset.
    unclaimed: Mapping[str, int] = field(default_factory=dict)
    partitions: Mapping[int, int] = field(default_factory=dict)  # of all topics, by partition; without those at 0

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "group": self.group,
            "state": self.members.state,
            "members": self.members.alive,
            "lag": sum(self.lag.values()),
            "oldest_at": None if self.oldest_ms is None else rfc3339(self.oldest_ms),
            "topics": {topic: records for topic, records in self.lag.items() if records},
            "partitions_without_offset": dict(self.unclaimed),
            "partitions": {str(partition): records for partition, records in sorted(self.partitions.items())},
        }


@dataclass(slots=True)
class Overview:
    """What `pushcast status` says of groups and dead letters."""

    groups: list[GroupLag] = field(default_factory=list)
    dead_letters: Counter[str] = field(default_factory=Counter)  # of the last hour, by dead-letter topic
    #: Partitions that wait for the end of a transaction, and about since when, in milliseconds since the epoch.
    transactions: dict[Spot, int] = field(default_factory=dict)
    newer: dict[str, str] = field(default_factory=dict)  # unfinished records that this release cannot read: schemas

    @property
    def parked(self) -> int:
        """Records kept aside that nobody has passed on yet."""
        return sum(each.lag.get(topics.PARKED, 0) for each in self.groups)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "groups": [each.to_dict() for each in self.groups],
            "parked": self.parked,
            "dead_letters_last_hour": dict(sorted(self.dead_letters.items())),
            "open_transactions": [
                {"topic": topic, "partition": partition, "since": rfc3339(since_ms)}
                for (topic, partition), since_ms in sorted(self.transactions.items())
            ],
            "of_a_later_release": dict(sorted(self.newer.items())),
        }


def overview(settings: Settings, groups: Mapping[str, Collection[str]], dead: Collection[str], now_ms: int) -> Overview:
    """`groups`: the topics that each reads; `dead`: dead-letter topics. Blocks.

    Raises KafkaException, TailUnreadable.
    """
    kafka = settings.kafka
    client = client_config(kafka.bootstrap_servers, kafka.security, tool=True)
    positions = open_positions(client)
    reader = SpanReader(kafka.bootstrap_servers, kafka.security)
    spots = [(topic, partition) for topic in {*dead, *_all(groups)} for partition in range(kafka.partitions)]
    starts, ends = positions.starts(spots), positions.ends(spots)
    spans: dict[str, dict[Spot, Span]] = {}
    unclaimed: dict[str, Counter[str]] = {}
    read_by = {group: {spot: end for spot, end in ends.items() if spot[0] in read} for group, read in groups.items()}
    for group, committed in positions.committed_by(read_by).items():
        spans[group] = unfinished(starts, read_by[group], committed)
        unclaimed[group] = Counter(topic for topic, partition in spans[group] if (topic, partition) not in committed)
    oldest: dict[Spot, int] = {}
    counted: Counter[Spot] = Counter()
    newer: dict[str, str] = {}

    def note(message: Message) -> None:
        record = plain(message)
        if is_data(record.value, record.headers):
            spot = record.topic, record.partition
            oldest.setdefault(spot, record.timestamp)
            counted[spot] += 1
            if record.topic in INTERNAL and (fingerprint := newer_schema(record.value)) is not None:
                newer[f"{record.topic}[{record.partition}]@{record.offset}"] = fingerprint

    few = {spot: span for each in spans.values() for spot, span in each.items() if span[1] - span[0] <= COUNTED_RECORDS}
    many = {spot: (start, start + 1) for each in spans.values() for spot, (start, _) in each.items() if spot not in few}
    asyncio.run(reader.read({**few, **many}, note))
    records = {spot: counted[spot] for spot in few}
    members = positions.members(groups)
    found = Overview(
        [_lag(group, members[group], spans[group], records, oldest, unclaimed[group]) for group in groups], newer=newer
    )

    def count(message: Message) -> None:
        record = plain(message)
        if is_data(record.value, record.headers):
            found.dead_letters[record.topic] += 1

    found.transactions = _held(client, ends, positions.written(ends), now_ms)
    since = positions.at({spot: now_ms - HOUR_MS for spot in ends if spot[0] in dead})
    asyncio.run(reader.read({spot: (since.get(spot, ends[spot]), ends[spot]) for spot in since}, count))
    return found


def _held(
    client: Mapping[str, Any], committed: Mapping[Spot, int], written: Mapping[Spot, int], now_ms: int
) -> dict[Spot, int]:
    """Shorter ones are the daily business of a transactional producer."""
    held = {spot: end for spot, end in committed.items() if written.get(spot, end) > end}
    since = open_since(client, held) if held else {}
    return {spot: at for spot, at in since.items() if now_ms - at > TRANSACTION_SECONDS * 1000}


def _all(groups: Mapping[str, Collection[str]]) -> set[str]:
    return {topic for read in groups.values() for topic in read}


def _lag(
    group: str,
    members: Members,
    spans: Mapping[Spot, Span],
    records: Mapping[Spot, int],
    oldest: Mapping[Spot, int],
    unclaimed: Mapping[str, int],
) -> GroupLag:
    lag: Counter[str] = Counter()
    partitions: Counter[int] = Counter()
    for spot, (start, end) in spans.items():
        count = records.get(spot, end - start)
        lag[spot[0]] += count
        partitions[spot[1]] += count
    oldest_ms = min((oldest[spot] for spot in spans if spot in oldest), default=None)
    return GroupLag(group, members, lag, oldest_ms, unclaimed, +partitions)
