"""`bench broadcast`: one broadcast through the whole chain, from the event to the last receipt, audit included.

Roles run as `pushcast run all` runs them, on the same cores as Kafka and the simulators.
"""

from __future__ import annotations

import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import orjson

from pushcast.audit.broadcasts import BroadcastBooks, FoundBroadcast
from pushcast.audit.progress import Progress
from pushcast.bench.base import Options, Result
from pushcast.bench.cluster import BenchCluster, bench_cluster
from pushcast.bench.planning import APP, load_devices
from pushcast.bench.sink import simulator
from pushcast.bench.whole import run_all, used
from pushcast.kafka.intake import put_one
from pushcast.model.errors import PushcastError
from pushcast.model.words import Lane, Platform
from pushcast.runtime.layout import processes
from pushcast.wire import topics

NAME: Final = "broadcast/1m"
ITEMS: Final = 1_000_000
PLATFORMS: Final = (Platform.APNS, Platform.FCM)
LANE: Final = Lane.BULK
WARM_UP_SECONDS: Final = 120.0
TIMEOUT_SECONDS: Final = 480.0
POLL_SECONDS: Final = 0.05


def run(options: Options) -> Result:
    """Row `broadcast/1m` and a row for each part. Raises PushcastError unless every device has one accepted receipt."""
    items = options.items or ITEMS
    setup: dict[str, Any] = {
        "devices": items,
        "platforms": [*PLATFORMS],
        "lane": LANE,
        "sink": "pushcast sim, checks off",
    }
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pushcast-bench-sim-")))
        sims = {platform: stack.enter_context(simulator(platform, folder / platform)) for platform in PLATFORMS}
        apps = {APP: {str(platform): sim.provider_settings() for platform, sim in sims.items()}}
        cluster = stack.enter_context(bench_cluster(options, {"apps": apps}))
        setup["partitions"] = cluster.settings.kafka.partitions
        options.say(f"{items} devices into their topic")
        load_devices(cluster, range(items), time.time_ns() // 1_000_000)
        plans = processes(cluster.settings, list(Lane), list(Platform))
        whole = stack.enter_context(run_all(cluster, sims, plans))
        options.say("warming up with one device in a hundred")
        _through(cluster, "warm", {"where": {"bucket": {"salt": "warm", "from": 0, "to": 100}}}, WARM_UP_SECONDS)
        options.say(f"{NAME}: {items} devices")
        start = whole.look()
        progress = _through(cluster, "all", {"all": True}, TIMEOUT_SECONDS)
        spent = used(start, whole.look())
        found = progress.to_dict()
        if found["planned"] != items or found["receipts"] != {"accepted": items}:
            raise PushcastError(f"{items} devices became {found}")
        setup["cpu_seconds"] = spent.cpu_seconds
        return Result(spent.rows(NAME, items), setup)


def _through(cluster: BenchCluster, name: str, audience: dict[str, Any], timeout_seconds: float) -> Progress:
    """Returns when every delivery has its receipt. Raises PushcastError when it takes longer."""
    event = {"id": name, "app": APP, "title": "Goal!", "body": "1:0 in the 88th minute", "audience": audience}
    put_one(cluster.settings, topics.broadcast(LANE), name.encode(), orjson.dumps(event))
    deadline = time.monotonic() + timeout_seconds
    with BroadcastBooks(cluster.settings) as broadcasts:
        found: FoundBroadcast | None = None
        while found is None:
            found = broadcasts.find(name, [LANE])
            if time.monotonic() > deadline:
                raise PushcastError(f"the settler has not spread {name} within {timeout_seconds:.0f} s")
            time.sleep(POLL_SECONDS)
        progress = broadcasts.follow(found, timeout_seconds)
    if not progress.finished:
        raise PushcastError(f"{name} has not finished within {timeout_seconds:.0f} s: {progress.to_dict()}")
    return progress
