"""REGISTER as the runtime hosts it: one App over device changes, dead tokens and holds, beside the devices table."""

from __future__ import annotations

from collections.abc import Sequence

from pushcast.config.settings import Settings
from pushcast.model.words import Lane, Platform
from pushcast.observe import sources
from pushcast.register.agent import RegisterStage
from pushcast.register.build import build, subscriptions
from pushcast.register.names import STAGE, Topics
from pushcast.register.ports import Counters
from pushcast.stream.spec import Host, StageSpec, TableSpec
from pushcast.stream.table import Table
from pushcast.wire import groups

ROLE = "registrar"


def specs(settings: Settings, lanes: Sequence[Lane], platforms: Sequence[Platform]) -> list[StageSpec]:
    """The registrar's one App: it has no lanes."""
    names = Topics()

    def made(host: Host, tables: Sequence[Table]) -> RegisterStage:
        counters = Counters()
        host.metrics.add_source(lambda: sources.stage(ROLE, "", counters))
        return build(
            settings,
            tables[0],
            host.outbox,
            host.clock,
            control=host.control,
            counters=counters,
            schemas=host.schemas,
            names=names,
        )

    return [
        StageSpec(
            role=ROLE,
            group=groups.REGISTER,
            subscriptions=subscriptions(settings, names),
            build=made,
            tables=(TableSpec(names.device, writer=STAGE),),
            produces=(names.device, names.hold),
            waits_seconds=settings.devices.hold_seconds,
        )
    ]
