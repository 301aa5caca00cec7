"""`bench plan`: notifications through a planner process until their outputs are acknowledged and committed."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from pushcast.bench.base import Options, Result, Row
from pushcast.bench.cluster import BenchCluster, ProcessUnderTest, bench_cluster, role
from pushcast.bench.planning import Produced, events, load_devices, planned_since, produce
from pushcast.bench.stock_plan import GROUP as STOCK_GROUP
from pushcast.bench.stock_plan import READY, load_stock_devices
from pushcast.bench.stock_plan import TOPIC as STOCK_TOPIC
from pushcast.model.errors import PushcastError
from pushcast.model.words import Lane
from pushcast.wire.schemas import AvroType, lock
from pushcast.wire.topics import PLANNED, notification

STOCK = "plan/stock"
OLD_ROWS = "plan/alert/json/old-rows"  # after an upgrade, until every device has registered again
USERS = 200_000
ITEMS = 200_000
STOCK_ITEMS = 20_000  # two orders of magnitude slower: 10,000 rows/s of recovery, 119 µs an event
WARM_UP_ITEMS = 10_000
WARM_UP_STOCK_ITEMS = 2_000
TIMEOUT_SECONDS = 300.0
LANE = Lane.NORMAL
TOPIC = notification(LANE)
GROUP = f"pushcast-plan-{LANE}"
CONFIGURATION = {"apps": {"news": {}}, "classes": {"default": {"window_seconds": 0.05}}}


def run(options: Options) -> Result:
    """One device per user; every user gets one event in turn, class `default` with a window of 50 ms."""
    items = options.items or ITEMS
    users = min(items, USERS)
    setup: dict[str, Any] = {"users": users, "devices_per_user": 1, "window_seconds": 0.05, "lane": str(LANE)}
    wanted = [
        (f"plan/{shape}/{form}", shape, form)
        for shape in ("alert", "chat")
        for form in ("json", "avro")
        if options.wants(f"plan/{shape}/{form}")
    ]
    rows: list[Row] = []
    with bench_cluster(options, CONFIGURATION) as cluster:
        setup["partitions"] = cluster.settings.kafka.partitions
        if wanted:
            options.say(f"{users} devices into their topic")
            load_devices(cluster, range(users), now_ms())
            with role(cluster, "planner", "--lane", LANE, "--slot", "b") as process:
                for name, shape, form in wanted:
                    options.say(f"{name}: {items} events")
                    planned_row(cluster, process, f"w-{shape}-{form}", shape, form, min(items, WARM_UP_ITEMS), users)
                    rows.append(planned_row(cluster, process, f"m-{shape}-{form}", shape, form, items, users, name))
        if options.wants(OLD_ROWS):
            rows.append(_old_rows(cluster, items, users, options))
        if options.wants(STOCK):
            rows.append(_stock(cluster, min(items, STOCK_ITEMS), options))
            setup["stock"] = f"{min(items, STOCK_ITEMS)} users, alert/json, one agent, table, take(500, within=0.05)"
    return Result(rows, setup)


def planned_row(
    cluster: BenchCluster,
    process: ProcessUnderTest,
    run: str,
    shape: str,
    form: str,
    items: int,
    users: int,
    name: str = "",
) -> Row:
    """Writes events and waits until they are planned; the planner is the process under test."""
    partitions = cluster.settings.kafka.partitions
    made = list(events(shape, form, items, users, run, partitions, now_ms()))
    return _through(cluster, process, TOPIC, GROUP, made, name)


def _through(
    cluster: BenchCluster, process: ProcessUnderTest, topic: str, group: str, made: list[Produced], name: str = ""
) -> Row:
    """Produces events and waits until the group has committed all of them. Raises when one is not planned."""
    before = cluster.ends(PLANNED)
    start = process.reading()
    produce(cluster, topic, made)
    ends = cluster.ends(topic)
    process.until(lambda: cluster.committed(group, topic) == ends, f"all events of {group}", TIMEOUT_SECONDS)
    row = process.row(name, len(made), start)
    planned = planned_since(cluster, before)
    if planned != len(made):
        raise PushcastError(f"{len(made)} events became {planned} planned deliveries")
    return row


def _old_rows(cluster: BenchCluster, items: int, users: int, options: Options) -> Row:
    """`plan/alert/json` with device rows as the first release wrote them."""
    options.say(f"{users} devices into their topic, as rows of the first release")
    first = AvroType("device_row", json.dumps(lock()["device_row"][0]["schema"]))
    load_devices(cluster, range(users), now_ms(), first)
    with role(cluster, "planner", "--lane", LANE, "--slot", "old") as process:
        planned_row(cluster, process, "w-old", "alert", "json", min(items, WARM_UP_ITEMS), users)
        options.say(f"{OLD_ROWS}: {items} events")
        return planned_row(cluster, process, "m-old", "alert", "json", items, users, OLD_ROWS)


def _stock(cluster: BenchCluster, items: int, options: Options) -> Row:
    """The same records in and out, planned by stock Faust."""
    options.say(f"{STOCK}: {items} devices into its changelog")
    load_stock_devices(cluster, range(items), now_ms())
    partitions = cluster.settings.kafka.partitions
    command = [sys.executable, "-m", "pushcast.bench.stock_plan", cluster.settings.kafka.bootstrap_servers]
    log = cluster.folder / "stock.log"
    with ProcessUnderTest([*command, str(partitions), str(cluster.folder / "stock")], log) as process:
        process.until(lambda: READY in log.read_text(errors="replace"), READY, TIMEOUT_SECONDS)
        warm = events("alert", "json", min(items, WARM_UP_STOCK_ITEMS), items, "w-stock", partitions, now_ms())
        _through(cluster, process, STOCK_TOPIC, STOCK_GROUP, list(warm))
        options.say(f"{STOCK}: {items} events")
        made = list(events("alert", "json", items, items, "m-stock", partitions, now_ms()))
        return _through(cluster, process, STOCK_TOPIC, STOCK_GROUP, made, STOCK)


def now_ms() -> int:
    """Unix time in milliseconds."""
    return time.time_ns() // 1_000_000
