"""Events at a steady rate, beside whatever else a benchmark does: how long each takes to its provider."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from confluent_kafka import Producer

from pushcast.bench.cluster import BenchCluster
from pushcast.bench.sink import Simulator
from pushcast.model.errors import PushcastError
from pushcast.model.ids import partition_of
from pushcast.model.words import Lane
from pushcast.simulators.recorder import MARKER
from pushcast.wire.topics import notification

PER_SECOND: Final = 100
ARRIVE_SECONDS: Final = 30.0
TTL_MS: Final = 3_600_000
_MARKER: Final = MARKER.decode().strip('"')
_QUANTILES: Final = ("p50", "p95", "p99")


class Answered(NamedTuple):
    """`latency_ms`: from an event produced to the simulator's answer to its push."""

    events: int
    latency_ms: dict[str, float]


class SteadyEvents:
    """Of one app, for users in turn. `sink`: the app's simulator, which gets nothing else. `check` raises PushcastError
    when something has ended that should run."""

    def __init__(
        self,
        cluster: BenchCluster,
        sink: Simulator,
        app: str,
        users: Sequence[int],
        check: Callable[[], None],
        *,
        lane: Lane = Lane.URGENT,
        per_second: float = PER_SECOND,
    ) -> None:
        self._lane = lane
        self._per_second = per_second
        self._sink = sink
        self._app = app
        self._check = check
        self._partitions = cluster.settings.kafka.partitions
        self._producer = Producer({**cluster.client, "acks": "all", "linger.ms": 0, "log_level": 0})
        self._users = [f"user-{number}".encode() for number in users]
        self.made = 0  # events

    def run(self, name: str, go_on: Callable[[int], bool]) -> Answered:
        """Events while `go_on(how many were produced)`; returns when all of them are answered. Raises PushcastError."""
        self._sink.reset()
        count = self.produce(name, go_on)
        return Answered(count, quantiles(self._answered(name, count)))

    def produce(self, name: str, go_on: Callable[[int], bool]) -> int:
        """As `run`, and does not ask what became of them: for a sink that gets more than these. Returns how many."""
        began, count = time.monotonic(), 0
        while go_on(count):
            self._produce()
            count += 1
            time.sleep(max(0.0, began + count / self._per_second - time.monotonic()))
        if not count:
            raise PushcastError(f"{name}: it was over before the first event; give it more items")
        self._producer.flush(ARRIVE_SECONDS)
        return count

    def _produce(self) -> None:
        self.made += 1
        key = self._users[self.made % len(self._users)]
        now_ms = time.time_ns() // 1_000_000
        event = {
            "id": f"code-{now_ms:x}-{self.made}",
            "app": self._app,
            "title": "Your code",
            "body": f"{self.made:06d}",
            "data": {_MARKER: str(now_ms)},
            "expires_at": now_ms + TTL_MS,
        }
        partition = partition_of(key, self._partitions)
        self._producer.produce(notification(self._lane), json.dumps(event), key, partition)
        self._producer.poll(0)

    def _answered(self, name: str, count: int) -> dict[str, float]:
        deadline = time.monotonic() + ARRIVE_SECONDS
        while (stats := self._sink.stats())["accepted"] < count:
            self._check()
            if time.monotonic() > deadline:
                raise PushcastError(f"{name}: {stats['accepted']} of {count} events arrived")
            time.sleep(0.05)
        if stats["accepted"] != count:
            raise PushcastError(f"{name}: {count} events became {stats['accepted']} pushes")
        latency: dict[str, float] = stats["latency_ms"]
        return latency


def quantiles(latency_ms: Mapping[str, float]) -> dict[str, float]:
    """Those that a row shows."""
    return {quantile: latency_ms[quantile] for quantile in _QUANTILES}
