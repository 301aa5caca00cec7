"""`bench pipeline`: the whole chain, from the first event produced to the last receipt acknowledged.

What the rows of single roles cannot show: Kafka's own share, processes that wait, records that are made small by a
chain in full flow. Roles run as `pushcast run all` runs them, on the same cores as Kafka, the load and the simulators.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from pushcast.bench.base import Options, Result, Row
from pushcast.bench.cluster import BenchCluster, bench_cluster
from pushcast.bench.planning import APP, Produced, events, load_devices, produce
from pushcast.bench.sink import Simulator, simulator
from pushcast.bench.whole import Whole, run_all, used
from pushcast.model.errors import PushcastError
from pushcast.model.words import Lane, Platform
from pushcast.runtime.layout import processes
from pushcast.wire import groups, topics

SHAPES: Final = ("alert", "chat")
PLATFORMS: Final = (Platform.APNS, Platform.FCM)
DEVICES: Final = 200_000
ITEMS: Final = 500_000
#: Enough for the broker's JVM to have compiled what it will run, and for the pools to have found their size.
WARM_UP_ITEMS: Final = 50_000
WINDOW_SECONDS: Final = 0.05
TIMEOUT_SECONDS: Final = 400.0
POLL_SECONDS: Final = 0.2
LANE: Final = Lane.NORMAL


def run(options: Options) -> Result:
    """Rows `pipeline/alert` and `pipeline/chat`, CPU of all processes but load and simulators, and a row for each part.

    One device per user, on APNs and FCM in turn; every user gets an event in turn, one content for a round of all
    users in `alert`, one for each event in `chat`. `setup.cpu_seconds` has every process by name.
    """
    items, devices = options.items or ITEMS, options.devices or DEVICES
    cpu_seconds: dict[str, Mapping[str, float]] = {}
    setup: dict[str, Any] = {"devices": devices, "platforms": [*PLATFORMS], "lane": LANE}
    setup |= {"window_seconds": WINDOW_SECONDS, "sink": "pushcast sim, checks off", "cpu_seconds": cpu_seconds}
    rows: list[Row] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pushcast-bench-sim-")))
        sims = {platform: stack.enter_context(simulator(platform, folder / platform)) for platform in PLATFORMS}
        cluster = stack.enter_context(bench_cluster(options, _configuration(sims)))
        setup["partitions"] = cluster.settings.kafka.partitions
        options.say(f"{devices} devices into their topic")
        load_devices(cluster, range(devices), _now_ms())
        whole = stack.enter_context(run_all(cluster, sims, processes(cluster.settings, list(Lane), list(Platform))))
        chain = _Chain(cluster, sims, whole, devices)
        for shape in SHAPES:
            name = f"pipeline/{shape}"
            if not options.wants(name):
                continue
            options.say(f"{name}: warming up with {min(items, WARM_UP_ITEMS)} pushes")
            chain.through(shape, min(items, WARM_UP_ITEMS))
            options.say(f"{name}: {items} pushes")
            start = whole.look()
            chain.through(shape, items)
            spent = used(start, whole.look())
            cpu_seconds[name] = spent.cpu_seconds
            found = spent.rows(name, items)
            # Said at once: a run at its full size takes minutes, and what ends it early shall not take this along.
            options.say(", ".join(f"{row.name} {row.cpu_seconds / items * 1e6:.1f} µs" for row in found))
            rows += found
    return Result(rows, setup)


def _configuration(sims: Mapping[Platform, Simulator]) -> dict[str, Any]:
    return {
        "apps": {APP: {str(platform): sim.provider_settings() for platform, sim in sims.items()}},
        "classes": {"default": {"lane": str(LANE), "window_seconds": WINDOW_SECONDS}},
    }


class _Chain:
    """Sends events through and waits until all of it is over."""

    def __init__(self, cluster: BenchCluster, sims: Mapping[Platform, Simulator], whole: Whole, devices: int) -> None:
        self._cluster = cluster
        self._sims = sims
        self._whole = whole
        self._devices = devices
        self._runs = 0

    def through(self, shape: str, items: int) -> None:
        """Returns when the receipts of all events are acknowledged. Raises PushcastError when one has none, or its
        push came more or less than once."""
        receipts, accepted = self._receipts(), self._accepted()
        produce(self._cluster, topics.notification(LANE), self._rounds(shape, items))
        self._await(lambda: self._accepted() - accepted >= items, f"{items} pushes at the simulators")
        self._await(lambda: self._receipts() - receipts >= items, f"{items} receipts")
        self._await(self._committed, "all send records committed")
        found = self._accepted() - accepted, self._receipts() - receipts
        if found != (items, items):
            raise PushcastError(f"{items} events became {found[0]} pushes and {found[1]} receipts")

    def _rounds(self, shape: str, items: int) -> Iterator[Produced]:
        """Each round of all users has ids of its own: an id that a user had already would be dropped."""
        for first in range(0, items, self._devices):
            self._runs += 1
            count = min(self._devices, items - first)
            partitions = self._cluster.settings.kafka.partitions
            yield from events(shape, "json", count, self._devices, f"run-{self._runs}", partitions, _now_ms())

    def _await(self, condition: Any, what: str) -> None:
        self._whole.roles.until(condition, what, TIMEOUT_SECONDS, POLL_SECONDS)

    def _accepted(self) -> int:
        return sum(int(sim.stats()["accepted"]) for sim in self._sims.values())

    def _receipts(self) -> int:
        return sum(self._cluster.ends(topics.RECEIPT))

    def _committed(self) -> bool:
        return all(
            self._cluster.committed(groups.send(platform, LANE), topic) == self._cluster.ends(topic)
            for platform in PLATFORMS
            for topic in (topics.send(platform, LANE),)
        )


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
