"""WALK as the runtime hosts it: a second stage in the planner's App of each lane, beside the same devices table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from pushcast.config.settings import Settings
from pushcast.handover.reading import SpanReader
from pushcast.kafka.group_offsets import senders_of
from pushcast.model.words import Lane, Platform
from pushcast.observe import stage_counters
from pushcast.stream.batch import Bounds
from pushcast.stream.spec import Host, StageSpec, Subscription, TableSpec
from pushcast.stream.table import Table
from pushcast.walk.agent import WalkStage
from pushcast.walk.ahead import KEEPER
from pushcast.walk.counters import COUNTERS
from pushcast.walk.exact import build_handover
from pushcast.walk.reads import ROLE
from pushcast.walk.served import served_by
from pushcast.wire import groups, topics

#: Orders are few; one is up to 2 MiB, and those that wait for their turn wait in memory.
BOUNDS: Final = Bounds(records=1_000, bytes=16 << 20)


def specs(settings: Settings, lanes: Sequence[Lane], platforms: Sequence[Platform]) -> list[StageSpec]:
    """A stage per lane, in the group of its planners."""
    return [_spec(settings, lane) for lane in lanes]


def _spec(settings: Settings, lane: Lane) -> StageSpec:
    def made(host: Host, tables: Sequence[Table]) -> WalkStage:
        counters: Counter[tuple[str, str]] = Counter()
        handover = build_handover(settings, lane, host.outbox, host.clock)
        host.metrics.add_source(lambda: stage_counters.stage(ROLE, lane, counters, COUNTERS))
        host.metrics.add_source(lambda: stage_counters.takeovers(ROLE, lane, handover.counters))
        kafka = settings.kafka
        return WalkStage(
            settings,
            lane,
            tables[0],
            host.outbox,
            host.clock,
            handover=handover,
            control=host.control,
            senders=senders_of(kafka, lane, **{KEEPER: (groups.KEEP, topics.keep(lane))}),
            served=served_by(SpanReader(kafka.bootstrap_servers, kafka.security), lane, handover.counters),
            fatal=host.fatal,
            counters=counters,
        )

    return StageSpec(
        role=ROLE,
        group=groups.plan(lane),
        subscriptions=(Subscription((topics.walk(lane),), BOUNDS),),
        build=made,
        tables=(TableSpec(topics.DEVICE),),
        produces=(*[topics.send(platform, lane) for platform in Platform], topics.keep(lane), topics.WALKED),
    )
