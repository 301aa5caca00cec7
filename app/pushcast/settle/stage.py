"""SETTLE as the runtime hosts it: one App over the retry rungs and the parked topic."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from pushcast.config.settings import Settings
from pushcast.model.words import Lane, Platform
from pushcast.observe import stage_counters
from pushcast.settle.agent import SettleStage
from pushcast.settle.build import FETCH_BYTES, bounds, build
from pushcast.settle.counters import COUNTERS
from pushcast.settle.exact import build_handover
from pushcast.settle.reads import GROUP, ROLE, SOURCES
from pushcast.settle.recheck import Recheck
from pushcast.stream.spec import Host, StageSpec, Subscription, TableSpec
from pushcast.stream.table import Table
from pushcast.wire import topics


def specs(settings: Settings, lanes: Sequence[Lane], platforms: Sequence[Platform]) -> list[StageSpec]:
    """The settler's App of all lanes and platforms."""

    def made(host: Host, tables: Sequence[Table]) -> SettleStage:
        counters: Counter[tuple[str, str]] = Counter()
        handover = build_handover(settings, host.outbox, host.clock)
        host.metrics.add_source(lambda: stage_counters.stage(ROLE, "", counters, COUNTERS))
        host.metrics.add_source(lambda: stage_counters.takeovers(ROLE, "", handover.counters))
        return build(
            settings,
            host.outbox,
            exact=handover,
            counters=counters,
            control=host.control,
            cancels=host.cancels,
            recheck=Recheck(tables[0], settings) if tables else None,
        )

    return [
        StageSpec(
            role=ROLE,
            group=GROUP,
            subscriptions=(Subscription(SOURCES, bounds(settings)),),
            build=made,
            tables=(TableSpec(topics.DEVICE),) if settings.settle.recheck else (),
            waits_seconds=max(settings.retry.rungs_seconds) * (1 + settings.retry.jitter),
            fetch={"max_partition_fetch_bytes": FETCH_BYTES},
        )
    ]
