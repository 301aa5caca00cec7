"""ECHO as the runtime hosts it."""

from __future__ import annotations

from collections.abc import Sequence

from example_stage.echo.agent import OUTPUT, EchoStage, items
from example_stage.echo.reads import GROUP, ROLE, SOURCE
from pushcast.config.settings import Settings
from pushcast.handover.reading import SpanReader
from pushcast.handover.runner import Handover
from pushcast.model.words import Lane, Platform
from pushcast.observe import stage_counters
from pushcast.stream.batch import Bounds
from pushcast.stream.spec import Host, StageSpec, Subscription
from pushcast.stream.table import Table


def specs(settings: Settings, lanes: Sequence[Lane], platforms: Sequence[Platform]) -> list[StageSpec]:
    """One App."""

    def made(host: Host, tables: Sequence[Table]) -> EchoStage:
        handover = Handover(
            "echo",
            {OUTPUT: items},
            outbox=host.outbox,
            reader=SpanReader(settings.kafka.bootstrap_servers, settings.kafka.security),
            clock=host.clock,
        )
        stage = EchoStage(host.outbox, handover, host.fatal)
        host.metrics.add_source(lambda: stage_counters.stage(ROLE, "", stage.counters))
        return stage

    return [
        StageSpec(
            role=ROLE,
            group=GROUP,
            subscriptions=(Subscription((SOURCE,), Bounds(records=500, bytes=1 << 20)),),
            build=made,
            produces=(OUTPUT,),
        )
    ]
