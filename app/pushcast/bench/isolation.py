"""`bench isolation`: what an app notices of another one whose provider is dead, and users of odd ones of their app."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any, Final

from pushcast.bench import campaigns, odd_targets
from pushcast.bench.base import Options, Result, Row
from pushcast.bench.cluster import BenchCluster, ProcessUnderTest, bench_cluster, role
from pushcast.bench.messages import messages
from pushcast.bench.sink import Simulator, simulator
from pushcast.model.batch import SendBatch
from pushcast.model.errors import PushcastError
from pushcast.model.words import Lane, Platform
from pushcast.wire import topics
from pushcast.wire.sending.batches import encode_batch

UNDISTURBED: Final = "app/undisturbed"
OTHER_DEAD: Final = "app/other_dead"
APP: Final = "news"
OTHER: Final = "chat"
LANE: Final = Lane.NORMAL
ITEMS: Final = 150_000  # pushes of the app; as many of the other one
TARGETS: Final = 50  # of each app in a record
RECORDS_PER_SECOND: Final = 60
WARM_UP_ITEMS: Final = 6_000
ARRIVE_SECONDS: Final = 120.0
POLL_SECONDS: Final = 0.1


def run(options: Options) -> Result:
    """Rows `app/*` of two apps, and rows `user/*` of one (`odd_targets.py`)."""
    apps = _two_apps(options) if options.wants(UNDISTURBED) or options.wants(OTHER_DEAD) else Result([], {})
    return Result([*apps.rows, *odd_targets.rows(options)], apps.setup)


def _two_apps(options: Options) -> Result:
    """Both apps in every record, offered at a steady rate; the rows are of the app that is well.

    Its throughput is from the first record until its last push is answered. In `app/other_dead` the other app's
    provider takes every request and answers none from the first record on: what it costs until the breaker opens and
    the work is parked is part of the row.
    """
    items = options.items or ITEMS
    offered = RECORDS_PER_SECOND * TARGETS
    setup: dict[str, Any] = {"offered_per_second_and_app": offered, "targets_per_record_and_app": TARGETS}
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="pushcast-bench-sim-") as name:
        folder = Path(name)
        with (
            simulator(Platform.APNS, folder / APP) as well,
            simulator(Platform.APNS, folder / OTHER) as other,
            bench_cluster(options, _configuration(well, other)) as cluster,
            role(cluster, "sender", "--platform", Platform.APNS, "--lane", LANE, "--slot", "b") as process,
        ):
            setup["partitions"] = cluster.settings.kafka.partitions
            load = _Load(cluster, process, well, other)
            load.run("", WARM_UP_ITEMS, other_is_well=True)
            for row in (UNDISTURBED, OTHER_DEAD):
                if options.wants(row):
                    options.say(f"{row}: {items} pushes of each app")
                    rows.append(load.run(row, items, other_is_well=row == UNDISTURBED))
            stats = other.stats()
            setup["other_app_requests_unanswered"] = stats["requests"] - stats["accepted"]
    return Result(rows, setup)


def _configuration(well: Simulator, other: Simulator) -> dict[str, Any]:
    return {"apps": {APP: {"apns": well.provider_settings()}, OTHER: {"apns": other.provider_settings()}}}


class _Load:
    """Offers records of both apps at their rate and waits for the pushes of the one that is well."""

    def __init__(self, cluster: BenchCluster, process: ProcessUnderTest, well: Simulator, other: Simulator) -> None:
        self._cluster = cluster
        self._process = process
        self._well = well
        self._other = other

    def run(self, name: str, items: int, *, other_is_well: bool) -> Row:
        """Raises PushcastError when a push does not arrive, or arrives twice."""
        records = max(1, items // TARGETS)
        self._well.reset()
        self._other.reset()
        if not other_is_well:
            self._other.never_answer()
        start = self._process.reading()
        campaigns.offer(
            self._cluster,
            topics.send(Platform.APNS, LANE),
            records,
            RECORDS_PER_SECOND,
            lambda turn: [(_record(int(time.time() * 1000)), turn)],
        )
        wanted = records * TARGETS
        self._arrived(self._well, wanted)
        stats = self._well.stats()
        latency = {quantile: stats["latency_ms"][quantile] for quantile in ("p50", "p95", "p99")}
        row = self._process.row(name, wanted, start, latency)
        if other_is_well:
            self._arrived(self._other, wanted)
        if stats["accepted"] != wanted:
            raise PushcastError(f"{name}: {wanted} pushes became {stats['accepted']}")
        return row

    def _arrived(self, sink: Simulator, wanted: int) -> None:
        self._process.until(
            lambda: sink.stats()["accepted"] >= wanted, f"{wanted} pushes arrive", ARRIVE_SECONDS, POLL_SECONDS
        )


def _record(now_ms: int) -> bytes:
    """One message of each app, marked with its time."""
    made = messages(Platform.APNS, 2 * TARGETS, TARGETS, body_chars=campaigns.BODY_CHARS, now_ms=now_ms)
    both = [campaigns.marked(message, app, now_ms) for message, app in zip(made, (APP, OTHER), strict=True)]
    return encode_batch(SendBatch(LANE, Platform.APNS, both))
