"""PLAN as the runtime hosts it: one App per lane over its notifications, beside the devices table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from pushcast.config.settings import Settings
from pushcast.handover.reading import SpanReader
from pushcast.model.words import Lane, Platform
from pushcast.observe import stage_counters
from pushcast.observe.tracing import batch_spans_of, tracer
from pushcast.plan.agent import PlanStage, bounds
from pushcast.plan.contents import HeldContents, orders_of
from pushcast.plan.counters import COUNTERS
from pushcast.plan.exact import build_handover
from pushcast.plan.reads import ROLE
from pushcast.plan.reads import sources as topics_of
from pushcast.stream.sharing import Sharing
from pushcast.stream.spec import Host, StageSpec, Subscription, TableSpec
from pushcast.stream.table import Table
from pushcast.wire import groups, topics


def specs(settings: Settings, lanes: Sequence[Lane], platforms: Sequence[Platform]) -> list[StageSpec]:
    """An App per lane."""
    return [_spec(settings, lane) for lane in lanes]


def _spec(settings: Settings, lane: Lane) -> StageSpec:
    def made(host: Host, tables: Sequence[Table]) -> PlanStage:
        counters: Counter[tuple[str, str]] = Counter()
        handover, kafka = build_handover(settings, lane, host.outbox, host.clock), settings.kafka
        host.metrics.add_source(lambda: stage_counters.stage(ROLE, lane, counters, COUNTERS))
        host.metrics.add_source(lambda: stage_counters.takeovers(ROLE, lane, handover.counters))
        return PlanStage(
            settings,
            lane,
            tables[0],
            host.outbox,
            host.clock,
            schemas=host.schemas,
            exact=handover,
            fatal=host.fatal,
            counters=counters,
            cancels=host.cancels,
            paces=host.control.paces,
            batch_spans=batch_spans_of(tracer()) if settings.observe.tracing else None,
            sharing=Sharing(host.clock),
            contents=HeldContents(settings, lane, orders_of(SpanReader(kafka.bootstrap_servers, kafka.security), lane)),
        )

    return StageSpec(
        role=ROLE,
        group=groups.plan(lane),
        subscriptions=(Subscription(topics_of(lane), bounds(settings)),),
        build=made,
        tables=(TableSpec(topics.DEVICE),),
        waits_seconds=longest_window_seconds(settings),
    )


def longest_window_seconds(settings: Settings) -> float:
    """Of all classes: how long an event may wait for others that share its message."""
    return max(max(each.window_seconds or 0.0, each.window_max_seconds or 0.0) for each in settings.classes.values())
