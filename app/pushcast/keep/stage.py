"""KEEP as the runtime hosts it: one App, because what it keeps of a user spans the lanes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from pushcast.config.settings import Settings
from pushcast.keep.agent import KeepStage
from pushcast.model.words import Lane, Platform
from pushcast.observe import sources
from pushcast.stream.batch import Bounds
from pushcast.stream.flood import FloodGuard
from pushcast.stream.spec import Host, StageSpec, Subscription
from pushcast.stream.table import Table
from pushcast.wire import groups, topics

ROLE = "keeper"
BOUNDS = Bounds(records=2_000, bytes=1 << 20)


def specs(settings: Settings, lanes: Sequence[Lane], platforms: Sequence[Platform]) -> list[StageSpec]:
    """The keeper's one App."""

    def made(host: Host, tables: Sequence[Table]) -> KeepStage:
        counters: Counter[tuple[str, str]] = Counter()
        host.metrics.add_source(lambda: sources.stage(ROLE, "", counters))
        return KeepStage(
            host.outbox,
            host.clock,
            partitions=settings.kafka.partitions,
            counters=counters,
            fatal=host.fatal,
            schemas=host.schemas,
            flood=FloodGuard(settings.flood, host.clock),
        )

    return [
        StageSpec(
            role=ROLE,
            group=groups.KEEP,
            subscriptions=(Subscription((topics.CANCEL,), BOUNDS),),
            build=made,
        )
    ]
