"""`bench devices`: registrations in JSON through a registrar process, until offsets of them and their claims are
committed."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from confluent_kafka import Producer

from pushcast.bench.base import Options, Result
from pushcast.bench.cluster import BenchCluster, ProcessUnderTest, bench_cluster, role
from pushcast.model.errors import PushcastError
from pushcast.model.ids import partition_of
from pushcast.wire import groups
from pushcast.wire.topics import DEVICE, DEVICE_CHANGED, TOKEN_CLAIM

NAME = "devices/import"
ITEMS = 300_000
WARM_UP_ITEMS = 5_000
DEVICES_PER_USER = 3
TIMEOUT_SECONDS = 300.0
SEED = 7


def run(options: Options) -> Result:
    """Every device is new, has a user, locale, time zone, app version and topics; half are APNs, half FCM."""
    items = options.items or ITEMS
    setup: dict[str, Any] = {"items": items, "devices_per_user": DEVICES_PER_USER, "form": "json"}
    with (
        bench_cluster(options, {"apps": {"news": {}}}) as cluster,
        role(cluster, "registrar", "--slot", "b") as process,
    ):
        setup["partitions"] = cluster.settings.kafka.partitions
        options.say(f"warming up with {WARM_UP_ITEMS} registrations")
        _load(cluster, process, "warm", WARM_UP_ITEMS)
        before = sum(cluster.ends(DEVICE))
        options.say(f"{items} registrations")
        start = process.reading()
        _load(cluster, process, "user", items)
        row = process.row(NAME, items, start)
        written = sum(cluster.ends(DEVICE)) - before
        if written != items:
            raise PushcastError(f"{items} registrations became {written} rows")
        return Result([row], setup)


def _load(cluster: BenchCluster, process: ProcessUnderTest, prefix: str, items: int) -> None:
    """Produces registrations and returns when REGISTER has committed all of them, and OWN all of their claims: rows and
    marks are acknowledged."""
    partitions = cluster.settings.kafka.partitions
    producer = Producer({**cluster.client, "acks": "all", "linger.ms": 20, "queue.buffering.max.messages": 1_000_000})
    for user, value in registrations(prefix, items, int(time.time() * 1000)):
        producer.produce(DEVICE_CHANGED, value, user, partition_of(user, partitions))
    left = producer.flush(TIMEOUT_SECONDS)
    if left:
        raise PushcastError(f"{left} registrations could not be produced")
    for group, topic in ((groups.REGISTER, DEVICE_CHANGED), (groups.OWN, TOKEN_CLAIM)):
        ends = cluster.ends(topic)
        all_of_it = partial(_has_committed, cluster, group, topic, ends)
        process.until(all_of_it, f"all of {topic} is committed", TIMEOUT_SECONDS)


def _has_committed(cluster: BenchCluster, group: str, topic: str, ends: Sequence[int]) -> bool:
    return cluster.committed(group, topic) == ends


def registrations(prefix: str, items: int, now_ms: int) -> Iterator[tuple[bytes, bytes]]:
    """(record key, JSON) of new devices, the same for the same arguments."""
    rng = random.Random(f"{SEED} {prefix}")  # other tokens than those of the warm-up: a token has one owner
    for number in range(items):
        user = f"{prefix}-{number // DEVICES_PER_USER}"
        if number % 2:
            platform, token = "apns", f"{rng.getrandbits(256):064x}"
        else:
            platform, token = "fcm", f"{rng.getrandbits(132):033x}:APA91b{rng.getrandbits(400):0100x}"
        yield (
            user.encode(),
            b'{"op":"register","app":"news","device":"d-%d","platform":"%b","token":"%b","locale":"de-DE",'
            b'"time_zone":"Europe/Berlin","app_version":"7.1","topics":["team/%d"],"at":%d}'
            % (number, platform.encode(), token.encode(), number % 50, now_ms),
        )
