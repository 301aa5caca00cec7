"""What is read of the log beside a group: last week's events for a rehearsal, and what was read for a new keeper."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

from flow.kafka_tools import ensure_topics, produce
from pushcast.audit.rehearsed_walk import BroadcastName
from pushcast.audit.whatif import READ, whatif
from pushcast.audit.whatif_reading import read_records, read_rows
from pushcast.config.settings import Settings
from pushcast.handover.reading import SpanReader
from pushcast.kafka.clients import client_config
from pushcast.kafka.positions import open_positions
from pushcast.keep.read_back import EarlierEngagement
from pushcast.model.device import DeviceRow
from pushcast.model.ids import device_row_key, partition_of, token_hash
from pushcast.model.words import Lane
from pushcast.wire import topics
from pushcast.wire.devices.devices import encode_row
from pushcast.wire.events.broadcasts import BroadcastDecoder
from pushcast.wire.events.class_rules import class_rules
from pushcast.wire.events.orders import Order, encode_order

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


async def test_d10_a_broadcast_is_rehearsed_over_rows_of_everybody_up_to_the_limit(
    kafka: str, unique: Callable[[str], str]
) -> None:
    ensure_topics(kafka, (*READ, topics.DEVICE), PARTITIONS)
    ensure_topics(kafka, [topics.CONTROL], 1)
    writer, since_ms, name = Writer(kafka, unique("ann")), time.time_ns() // 1_000_000, unique("b")
    writer.register()
    config = settings(kafka)
    event = {"id": name, "app": "news", "class": "promo", "title": "t", "audience": {"all": True}}
    decoder = BroadcastDecoder(config.apps, class_rules(config.classes))
    frozen = decoder.decode(None, json.dumps(event).encode(), since_ms).frozen(lambda _: None)
    order = encode_order(Order(name, "log", 0, since_ms, False, "", frozen))
    walk = topics.walk(Lane.BULK)
    produce(kafka, walk, [(writer.partition, None, value) for value in (order, None, order)])
    off = settings(kafka, classes={"promo": {"opt_in": True}})
    mine = await asyncio.to_thread(lambda: whatif(config, off, since_ms, user=writer.user))
    before, after = mine.broadcasts[BroadcastName("bulk", name)]
    assert (before.sent, after.sent, after.ends) == (1, 0, {"opted_out": 1})
    partition_rows = await read_rows(config, writer.partition, set(), 1_000_000)
    count = sum(map(len, partition_rows[0].values()))
    assert partition_rows[1] == 0
    some = await read_rows(config, writer.partition, {writer.user}, 0)
    assert (list(some[0]), some[1]) == ([writer.user], 0), "nobody asked for others"
    for user in ("ben", "cat"):
        other = Writer(kafka, unique(user))
        other.partition = writer.partition  # it does not matter here whose the row is
        other.register()
    assert (await read_rows(config, writer.partition, {writer.user}, count))[1] == 1
    spot = walk, writer.partition
    positions = open_positions(client_config(kafka, config.kafka.security, tool=True))
    found, beyond = await read_records(config, positions, spot, since_ms, None, 1)
    assert (len(found), beyond) == (1, 1), "the fence counts as nothing"


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
