"""Last week's events under two configurations: who would have got what (`pushcast whatif`)."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

from pushcast.audit.rehearsal import Rehearsal
from pushcast.audit.rehearsed_fates import EventFate, Past
from pushcast.audit.rehearsed_walk import BroadcastFate, BroadcastName, NotRehearsed
from pushcast.audit.spans import positions_of
from pushcast.audit.whatif_reading import WALKS, Rows, read_halts, read_records, read_rows, user_in
from pushcast.config.settings import Settings
from pushcast.model.ids import partition_of
from pushcast.model.words import Lane
from pushcast.wire import topics
from pushcast.wire.configured_schemas import schemas_for_tool
from pushcast.wire.schemas import SchemaSource

#: Changes that are listed one by one.
MAX_LISTED = 100
#: What is rehearsed. Of two records of one time a cancel comes first.
READ: Final = (topics.CANCEL, topics.ENGAGEMENT, *map(topics.notification, Lane), *map(topics.walk, Lane))


@dataclass
class Comparison:
    """`fates`: how many events went from one fate to another; equal ones, too. `changed`: some that differ.
    `broadcasts`: each before and after. `left_out`: devices of the audience of those that are not rehearsed.
    `records_left_out`: beyond the limit, by topic. `rows_left_out`: rows of devices that no broadcast came by."""

    events: int = 0
    sent_before: int = 0
    sent_after: int = 0
    later: int = 0  # the same fate, and another hour
    digests_before: int = 0  # pushes
    digests_after: int = 0
    fates: Counter[tuple[str, str]] = field(default_factory=Counter)
    changed: list[dict[str, Any]] = field(default_factory=list)
    broadcasts: dict[BroadcastName, tuple[BroadcastFate, BroadcastFate]] = field(default_factory=dict)
    left_out: Counter[tuple[BroadcastName, NotRehearsed]] = field(default_factory=Counter)
    records_left_out: Counter[str] = field(default_factory=Counter)
    rows_left_out: int = 0

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

    def add_broadcasts(self, before: Rehearsal, after: Rehearsal) -> None:
        """Of one partition."""
        for name in before.broadcasts | after.broadcasts:
            sums = self.broadcasts.setdefault(name, (BroadcastFate(), BroadcastFate()))
            for fate, rehearsal in zip(sums, (before, after), strict=True):
                fate.add(rehearsal.broadcasts.get(name, BroadcastFate()))
        for each in before.left_out:
            self.left_out[each.name, each.why] += each.devices

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
            "broadcasts": {
                "rehearsed": len(self.broadcasts),
                "sent_before": sum(before.sent for before, _ in self.broadcasts.values()),
                "sent_after": sum(after.sent for _, after in self.broadcasts.values()),
                "listed": [_broadcast(name, *fates) for name, fates in islice(self.broadcasts.items(), MAX_LISTED)],
            },
            "not_rehearsed": {
                "broadcasts": dict(Counter(str(why) for _, why in self.left_out)),
                "listed": [
                    {**name._asdict(), "why": why, "devices": devices}
                    for (name, why), devices in islice(self.left_out.items(), MAX_LISTED)
                ],
                "records": dict(self.records_left_out),
                "device_rows": self.rows_left_out,
            },
        }


def _broadcast(name: BroadcastName, before: BroadcastFate, after: BroadcastFate) -> dict[str, Any]:
    return {**name._asdict(), "before": _sums(before), "after": _sums(after)}


def _sums(fate: BroadcastFate) -> dict[str, Any]:
    return {
        "sent": fate.sent,
        "held_out": fate.held_out,
        "ends": dict(sorted(fate.ends.items())),
        "users_waited": dict(sorted(fate.waits.items())),
        "lasted_seconds": fate.lasted_seconds,
    }


async def compare(
    before: Settings,
    after: Settings,
    partition: int,
    past: Sequence[Past],
    rows: Rows,
    found: Comparison,
    until_ms: int | None = None,
    schemas: SchemaSource | None = None,
) -> None:
    """Rehearses these records of one partition under both; they are in the order of their times. `until_ms`: where the
    log ends. `schemas`: of Confluent frames."""
    old, new = (Rehearsal(each, partition, rows, schemas, until_ms) for each in (before, after))
    found.add(await old.fates(past), await new.fates(past))
    found.add_digests(old.gathered, new.gathered)
    found.add_broadcasts(old, new)


def whatif(
    before: Settings, after: Settings, since_ms: int, *, user: str | None = None, limit: int = 100_000
) -> Comparison:
    """Reads the intake topics, orders of broadcasts, cancels and what users read from then on, at most `limit` records
    of each topic and partition, cancels of campaigns, stops and holds that Kafka still has, and the rows of their users
    as they are now; where there are broadcasts, some `limit` rows of others, too. Nothing is written. Blocks. Raises
    KafkaException, TailUnreadable."""
    kafka, schemas = before.kafka, schemas_for_tool(before)
    positions = positions_of(before)
    partitions: Iterable[int] = range(kafka.partitions)
    if user is not None:
        partitions = (partition_of(user.encode(), kafka.partitions),)
    found, called_off = Comparison(), asyncio.run(read_halts(before))
    until_ms = time.time_ns() // 1_000_000
    for partition in partitions:
        past: list[Past] = []
        for topic in READ:
            spot = topic, partition
            records, beyond = asyncio.run(read_records(before, positions, spot, since_ms, user, limit))
            past += records
            if beyond:
                found.records_left_out[topic] += beyond
        if past:
            others = limit if user is None and any(each.topic in WALKS for each in past) else 0
            users = {user_in(each.key) for each in past} | ({user} if user is not None else set())
            past = [*called_off, *past]  # of one time a cancel comes first
            rows, beyond = asyncio.run(read_rows(before, partition, users, others))
            found.rows_left_out += beyond
            past.sort(key=lambda each: each.at_ms)
            asyncio.run(compare(before, after, partition, past, rows, found, until_ms, schemas))
    return found
