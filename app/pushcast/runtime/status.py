"""What a process tells about itself over HTTP: figures, health, whereabouts of its tables."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from typing import Any

from pushcast import __version__
from pushcast.config.settings import Settings
from pushcast.kafka.outbox import Outbox
from pushcast.kafka.topics import load_topology
from pushcast.model.words import Lane, Platform
from pushcast.observe import sources
from pushcast.observe.catalogue import MetricName
from pushcast.observe.health import HealthServer
from pushcast.observe.metrics import Metrics, Sample
from pushcast.observe.probes import Liveness, readiness
from pushcast.observe.rate_limit import RateLimitFilter
from pushcast.observe.vocabulary import Vocabulary
from pushcast.runtime.hosted import REGISTER_GROUP, WAITING_GROUPS, Hosted
from pushcast.transport.host import AppState, state

#: On top of the longest wait: a handler may wait out a slow broker or provider.
STALL_MARGIN_SECONDS = 300.0


def boottime_seconds() -> float:
    """The clock of heartbeats; macOS has no CLOCK_BOOTTIME."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class Status:
    """The private page of a process. Create it on the loop, after the Apps are declared."""

    def __init__(
        self, settings: Settings, name: str, hosted: Hosted, outbox: Outbox, logs: RateLimitFilter | None = None
    ) -> None:
        self._name = name
        self._hosted = hosted
        self._outbox = outbox
        self._logs = logs
        self._settings = settings
        vocabulary = Vocabulary(
            apps=settings.apps,
            topics=[topic.name for topic in load_topology().topics],
            groups=[app.conf.id for app in hosted.apps],
        )
        self.metrics = Metrics(vocabulary)
        self._delay = sources.LoopDelay(asyncio.get_running_loop())
        self._liveness = Liveness(
            stall_seconds=_longest_wait_seconds(settings, hosted) + STALL_MARGIN_SECONDS,
            session_timeout_seconds=settings.kafka.session_timeout_seconds,
            boottime_seconds=boottime_seconds,
        )
        self.metrics.add_source(self._delay)
        self.metrics.add_source(self._samples)
        hosted.send.latencies = self._latencies
        self._server = HealthServer(
            metrics=self.metrics.exposition,
            info=self.info,
            live=lambda: self._liveness.problems(self._states()),
            ready=lambda: readiness(self._states()),
            host=settings.observe.host,
            port=settings.observe.port,
        )

    @property
    def port(self) -> int:
        """Where it listens, once started."""
        return self._server.port

    async def start(self) -> None:
        """Raises OSError when the port is taken."""
        await self._server.start()

    async def close(self) -> None:
        """Stops serving."""
        self._delay.close()
        await self._server.close()

    def info(self) -> dict[str, Any]:
        """For /_info: what the demo and operators need to know. `tables` is the next offset to apply per partition."""
        devices: dict[str, int] = {}
        for app in self._hosted.apps:
            table = self._hosted.tables.get(app.conf.id)
            if table is None:
                continue
            for part in state(app).partitions:
                key = str(part.partition)
                devices[key] = min(table.position(part.partition), devices.get(key, 1 << 62))
        return {
            "version": __version__,
            "name": self._name,
            "groups": [app.conf.id for app in self._hosted.apps],
            "tables": {"devices": devices},
            "outbox": self._outbox.unacknowledged,
        }

    def _states(self) -> list[AppState]:
        return [state(app) for app in self._hosted.apps]

    def _latencies(self, app: str, platform: Platform, seconds: list[float]) -> None:
        self.metrics.observe(MetricName.PROVIDER_SECONDS, seconds, (app, platform))

    def _samples(self) -> Iterable[Sample]:
        hosted = self._hosted
        yield Sample(MetricName.INFO, 1, (self._name, __version__))
        yield Sample(MetricName.OUTBOX_RECORDS, self._outbox.unacknowledged)
        if self._logs is not None:
            yield Sample(MetricName.LOG_LINES_SUPPRESSED, self._logs.total)
        now_ms, now_seconds = time.time_ns() // 1_000_000, boottime_seconds()
        for group in self._states():
            yield from sources.transport(group, now_ms, now_seconds)
            table = hosted.tables.get(group.name)
            if table is not None and group.recovered:
                rows = sum(table.count(number) for number in {part.partition for part in group.partitions})
                yield Sample(MetricName.TABLE_ROWS, rows, (group.name,))
        yield from sources.stage("registrar", "", hosted.register)
        for lane, counters in hosted.plan.items():
            yield from sources.stage("planner", lane, counters)
        yield from sources.stage("settler", "", hosted.settle)
        yield from sources.sender(hosted.send)
        yield from sources.control(hosted.control)
        for (role, lane_name), counted in hosted.tails:
            yield from sources.takeovers(role, lane_name, counted)
        yield from sources.poller(hosted.poll)
        if hosted.budget is not None:
            yield Sample(MetricName.IN_FLIGHT_LIMIT, hosted.budget.capacity)
            # A settler in this process has providers of its own.
            for name, platform in dict.fromkeys((each.app, each.platform) for each in hosted.providers):
                for lane in Lane:  # keys as `SendStage` makes them; lanes add up
                    yield Sample(MetricName.IN_FLIGHT, hosted.budget.held_by((name, platform, lane)), (name, platform))


def _longest_wait_seconds(settings: Settings, hosted: Hosted) -> float:
    """How long a record may be unfinished although all is well: in its window, on its rung, until its tickets are
    due, while a device is held."""
    groups = {app.conf.id for app in hosted.apps}
    held = settings.devices.hold_seconds if REGISTER_GROUP in groups else 0.0
    if not groups.isdisjoint(WAITING_GROUPS):
        rungs = max(settings.retry.rungs_seconds) * (1 + settings.retry.jitter)
        return max(rungs, settings.tickets.ask_after_seconds, _longest_window_seconds(settings), held)
    return max(_longest_window_seconds(settings), held)


def _longest_window_seconds(settings: Settings) -> float:
    return max(max(each.window_seconds or 0.0, each.window_max_seconds or 0.0) for each in settings.classes.values())
