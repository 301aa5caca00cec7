"""Follows single notifications to their receipts, for `pushcast send --wait`."""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import Any, cast

from confluent_kafka import Consumer, TopicPartition

from pushcast.config.settings import Settings
from pushcast.handover.fences import Fences, author_of
from pushcast.kafka.security import librdkafka_config
from pushcast.model.ids import partition_of
from pushcast.wire import topics
from pushcast.wire.receipts import Planned, decode_planned, decode_receipt


class Followed:
    """Books of a few notifications, given as (user, id). Pure.

    A planned record names no user, so one of another user with the same id counts too: it ends like the others.
    """

    def __init__(self, wanted: Collection[tuple[str, str]]) -> None:
        self._wanted = set(wanted)
        self._ids = {note for _, note in wanted}
        self._planned: dict[tuple[str, int, int], int] = {}  # (lane, partition, source offset) to deliveries
        self._ended: dict[tuple[str, int, int], set[str]] = {}
        self._receipts: dict[str, dict[str, Any]] = {}

    def planned(self, partition: int, planned: Planned) -> None:
        """A planned record; for the same source offset the last one counts."""
        for offset, note, total, _ in planned.rows():
            if note in self._ids:
                self._planned[planned.lane, partition, offset] = total

    def receipt(self, receipt: dict[str, Any]) -> None:
        """A terminal receipt, of whatever notification."""
        if receipt["notification_id"] not in self._ids:
            return
        source = (receipt["lane"], receipt["source_partition"], receipt["source_offset"])
        self._ended.setdefault(source, set()).add(receipt["delivery_id"])
        if (receipt["user"], receipt["notification_id"]) in self._wanted:
            self._receipts[receipt["delivery_id"]] = receipt

    @property
    def ended(self) -> bool:
        """Everything was planned, and every planned delivery has its receipt."""
        return len(self._planned) >= len(self._wanted) and all(
            len(self._ended.get(source, ())) >= total for source, total in self._planned.items()
        )

    @property
    def receipts(self) -> list[dict[str, Any]]:
        """One per delivery of what is followed."""
        return list(self._receipts.values())


def follow(
    settings: Settings, wanted: set[tuple[str, str]], since_ms: int, timeout_seconds: float
) -> tuple[bool, list[dict[str, Any]]]:
    """(whether all ended, receipts) of the notifications `wanted`, given as (user, id). Blocks."""
    partitions = sorted({partition_of(user.encode(), settings.kafka.partitions) for user, _ in wanted})
    consumer = Consumer(
        {
            "bootstrap.servers": settings.kafka.bootstrap_servers,
            **librdkafka_config(settings.kafka.security),
            "group.id": "pushcast-follow",
            "enable.auto.commit": False,
            "fetch.wait.max.ms": 50,
        }
    )
    fences: dict[tuple[str, int], Fences] = {}
    followed = Followed(wanted)
    try:
        since = [TopicPartition(t, p, since_ms) for t in (topics.PLANNED, topics.RECEIPT) for p in partitions]
        consumer.assign(consumer.offsets_for_times(since, timeout=15.0))
        deadline = time.monotonic() + timeout_seconds
        while time.monotonic() < deadline:
            for message in consumer.consume(1000, 0.1):
                value = message.value()
                if message.error() is not None:
                    continue
                seen = fences.setdefault((str(message.topic()), cast(int, message.partition())), Fences())
                author = author_of(cast("list[tuple[str, bytes]] | None", message.headers()))
                if not seen.admit(author, cast(int, message.offset())) or value is None:
                    continue
                if message.topic() == topics.PLANNED:
                    followed.planned(message.partition() or 0, decode_planned(value))
                else:
                    followed.receipt(decode_receipt(value))
            if followed.ended:
                return True, followed.receipts
        return False, followed.receipts
    finally:
        consumer.close()
