"""What is read of the log beside a group: last week's events for a rehearsal, and what was read for a new keeper."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

from flow.kafka_tools import ensure_topics, produce
from pushcast.audit.whatif import READ, whatif
from pushcast.config.settings import Settings
from pushcast.handover.reading import SpanReader
from pushcast.keep.read_back import EarlierEngagement
from pushcast.model.device import DeviceRow
from pushcast.model.ids import device_row_key, partition_of, token_hash
from pushcast.model.words import Lane
from pushcast.wire import topics
from pushcast.wire.devices.devices import encode_row

PARTITIONS = 8


class Writer:
    """One user's records."""

    def __init__(self, kafka: str, user: str) -> None:
        self.kafka = kafka
        self.user = user
        self.partition = partition_of(user.encode(), PARTITIONS)

    def write(self, topic: str, *events: dict[str, Any]) -> None:
        produce(
            self.kafka, topic, [(self.partition, self.user.encode(), json.dumps(event).encode()) for event in events]
        )

    def register(self) -> None:
        address = self.user.encode()
        row = DeviceRow("news", "d", "fcm", "token", address, "", token_hash(address), "active", 1, 1)
        key = device_row_key(self.user, "news", "d")
        produce(self.kafka, topics.DEVICE, [(self.partition, key, encode_row(row))])


def settings(kafka: str, **more: Any) -> Settings:
    tree = {
        "kafka": {"bootstrap_servers": kafka, "partitions": PARTITIONS},
        "apps": {"news": {}},
        "classes": {"promo": {}},
    }
    return Settings.model_validate(tree | more)


async def test_d10_the_log_is_rehearsed_under_another_cap_with_its_cancels(
    kafka: str, unique: Callable[[str], str]
) -> None:
    ensure_topics(kafka, (*READ, topics.DEVICE), PARTITIONS)
    ensure_topics(kafka, [topics.CONTROL], 1)
    writer, since_ms = Writer(kafka, unique("ann")), time.time_ns() // 1_000_000
    writer.register()
    usual = {"app": "news", "class": "promo", "title": "t"}
    later = {"id": "later", "deliver_at": since_ms + 3_600_000}
    writer.write(topics.notification(Lane.NORMAL), usual | {"id": "n-1"}, usual | {"id": "n-2"}, usual | later)
    writer.write(topics.notification(Lane.BULK), usual | {"id": "n-3"})
    writer.write(topics.CANCEL, {"ids": ["later"]})
    campaign = unique("xmas")
    produce(kafka, topics.CONTROL, [(0, f"cancel/{campaign}".encode(), b"{}")])
    writer.write(topics.notification(Lane.BULK), usual | {"id": "called-off", "campaign": campaign})
    caps = [{"name": "one", "classes": ["promo"], "limit": 1, "window_seconds": 86_400}]
    found = await asyncio.to_thread(
        lambda: whatif(settings(kafka), settings(kafka, caps=caps), since_ms, user=writer.user)
    )
    assert found.fates == {
        ("1 sent", "1 sent"): 1,
        ("1 sent", "suppressed frequency_cap"): 2,
        ("cancelled cancelled", "cancelled cancelled"): 2,
    }


async def test_a6_what_was_read_in_the_last_day_is_in_the_log(kafka: str, unique: Callable[[str], str]) -> None:
    ensure_topics(kafka, [topics.ENGAGEMENT], PARTITIONS)
    writer = Writer(kafka, unique("ann"))
    writer.write(topics.ENGAGEMENT, {"event": "opened", "ids": ["a"]})
    since_ms = time.time_ns() // 1_000_000 - 3_600_000
    writer.write(topics.ENGAGEMENT, {"event": "read", "ids": ["b"]}, {"event": "read", "ids": ["later"]})
    reader, spot = SpanReader(kafka), (topics.ENGAGEMENT, writer.partition)
    end = (await reader.ends([spot]))[spot]
    found = await EarlierEngagement(reader).read(writer.partition, since_ms, end - 1)
    mine = [json.loads(each.value or b"")["ids"] for each in found if each.key == writer.user.encode()]
    assert mine == [["b"]], "what comes behind the commit comes by itself"
    assert await EarlierEngagement(reader).read(writer.partition, since_ms + 7_200_000, end) == []
