"""What a process tells about itself over HTTP: figures, health, whereabouts of its tables."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from typing import Any

from pushcast import __version__
from pushcast.config.settings import Settings
from pushcast.kafka.outbox import KafkaOutbox
from pushcast.observe.catalogue import MetricName
from pushcast.observe.health import HealthServer
from pushcast.observe.loop_delay import LoopDelay
from pushcast.observe.metrics import Sample
from pushcast.observe.rate_limit import RateLimitFilter
from pushcast.runtime.hosted import Hosted
from pushcast.runtime.samples import app_samples, cancel_samples, control_samples
from pushcast.stream.assignment import boottime_seconds
from pushcast.transport.app_state import AppState
from pushcast.transport.host import state
from pushcast.transport.probes import Liveness, readiness
from pushcast.transport.watch import TopicWatch

#: On top of the longest wait: a handler may wait out a slow broker or provider.
STALL_MARGIN_SECONDS = 300.0


class Status:
    """The private page of a process. Create it on the loop, after the Apps are declared."""

    def __init__(
        self,
        settings: Settings,
        name: str,
        hosted: Hosted,
        outbox: KafkaOutbox,
        logs: RateLimitFilter | None = None,
        slot: str | None = None,
    ) -> None:
        self._name = name
        self._hosted = hosted
        self._outbox = outbox
        self._logs = logs
        self._slot = slot
        self._settings = settings
        self.metrics = hosted.metrics
        self.watch: TopicWatch | None = None  # once the cluster was asked
        self._delay = LoopDelay(asyncio.get_running_loop())
        self._liveness = Liveness(
            stall_seconds=longest_wait_seconds(hosted) + STALL_MARGIN_SECONDS,
            session_timeout_seconds=settings.kafka.session_timeout_seconds,
            boottime_seconds=boottime_seconds,
        )
        self.metrics.add_source(self._delay)
        self.metrics.add_source(self._samples)
        self._server = HealthServer(
            metrics=self.metrics.exposition,
            info=self.info,
            live=self.problems,
            ready=self._unready,
            degraded=lambda: [] if self.watch is None else self.watch.degraded(),
            host=settings.observe.host,
            port=settings.observe.port,
        )

    def problems(self) -> list[str]:
        """Why the process cannot go on by itself, one sentence each."""
        return self._liveness.problems(self._states())

    def _unready(self) -> list[str]:
        timeout = self._settings.kafka.session_timeout_seconds
        found = [*readiness(self._states(), boottime_seconds(), timeout), *_refused(self._outbox)]
        return found if self.watch is None else [*found, *self.watch.problems()]

    @property
    def port(self) -> int:
        """Where it listens, once started."""
        return self._server.port

    async def start(self) -> None:
        """Raises ConfigurationError when the port is taken."""
        await self._server.start()

    async def close(self) -> None:
        """Stops serving."""
        self._delay.close()
        await self._server.close()

    def info(self) -> dict[str, Any]:
        """For /_info: what the demo and operators need to know. `tables` is the next offset to apply per partition."""
        tables: dict[str, dict[str, int]] = {"devices": {}}
        for app in self._hosted.apps:
            for table in self._hosted.tables[app.conf.id]:
                positions = tables.setdefault(table.name, {})
                for part in state(app).partitions:
                    key = str(part.partition)
                    positions[key] = min(table.position(part.partition), positions.get(key, 1 << 62))
        return {
            "version": __version__,
            "name": self._name,
            "slot": self._slot,
            "groups": [app.conf.id for app in self._hosted.apps],
            "tables": tables,
            "outbox": self._outbox.unacknowledged,
        }

    def _states(self) -> list[AppState]:
        return [state(app) for app in self._hosted.apps]

    def _samples(self) -> Iterable[Sample]:
        hosted = self._hosted
        yield Sample(MetricName.INFO, 1, (self._name, __version__))
        yield Sample(MetricName.OUTBOX_RECORDS, self._outbox.unacknowledged)
        yield Sample(MetricName.PARTITIONS_EXPECTED, self._settings.kafka.partitions)
        if self._logs is not None:
            yield Sample(MetricName.LOG_LINES_SUPPRESSED, self._logs.total)
        now_ms, now_seconds = time.time_ns() // 1_000_000, boottime_seconds()
        for group in self._states():
            yield from app_samples(group, now_ms, now_seconds)
            for table in hosted.tables[group.name]:
                if group.recovered:
                    rows = sum(table.count(number) for number in {part.partition for part in group.partitions})
                    yield Sample(MetricName.TABLE_ROWS, rows, (group.name,))
        yield from control_samples(hosted.control)
        yield from cancel_samples(hosted.cancels)


def longest_wait_seconds(hosted: Hosted) -> float:
    """How long a record may be unfinished although all is well: in its window, on its rung, until its tickets are
    due, while a device is held."""
    return max(spec.waits_seconds for spec in hosted.specs)


def _refused(outbox: KafkaOutbox) -> list[str]:
    return [f"Kafka refuses an output, nothing is handed over until it takes it: {told}" for told in outbox.refused()]
