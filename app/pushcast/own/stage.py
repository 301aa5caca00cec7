"""OWN as the runtime hosts it: one App over the claims, beside the owners table, in the registrar's processes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from pushcast.config.settings import Settings
from pushcast.model.words import Lane, Platform
from pushcast.observe import stage_counters
from pushcast.own.agent import OwnStage
from pushcast.own.counters import COUNTERS
from pushcast.own.reads import ROLE
from pushcast.own.token_marks import STAGE, Names
from pushcast.stream.batch import Bounds
from pushcast.stream.flood import FloodGuard
from pushcast.stream.spec import Host, StageSpec, Subscription, TableSpec
from pushcast.stream.sweeps import SweepPace
from pushcast.stream.table import Table
from pushcast.wire import groups

BOUNDS: Final = Bounds(records=10_000, bytes=4 << 20)
#: A token that moves may take some milliseconds more; claims and marks come as few at a time as they were written.
FETCH: Final = {"gather_ms": 5}


def specs(settings: Settings, lanes: Sequence[Lane], platforms: Sequence[Platform]) -> list[StageSpec]:
    """The owners' one App: it has no lanes."""
    names = Names()

    def made(host: Host, tables: Sequence[Table]) -> OwnStage:
        counters: Counter[tuple[str, str]] = Counter()
        host.metrics.add_source(lambda: stage_counters.stage(ROLE, "", counters, COUNTERS))
        return OwnStage(
            tables[0],
            host.outbox,
            host.clock,
            counters,
            partitions=settings.kafka.partitions,
            names=names,
            mirrors=bool(settings.mirrored_apps()),
            vacant_seconds=settings.sweep.vacant_days * 86_400,
            pace=SweepPace(settings.sweep.rows_per_second, settings.sweep.every_seconds),
            flood=FloodGuard(settings.flood, host.clock),
            fatal=host.fatal,
        )

    return [
        StageSpec(
            role=ROLE,
            group=groups.OWN,
            subscriptions=(Subscription((names.claim,), BOUNDS),),
            build=made,
            tables=(TableSpec(names.owner, name="owners", writer=STAGE, by_key=True),),
            produces=(names.owner, names.evict, names.token_topics),
            fetch=FETCH,
        )
    ]
