"""SPREAD as the runtime hosts it: one App over the broadcast topics of all lanes, in the settler's processes."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Final

from pushcast.config.settings import Settings
from pushcast.handover.reading import SpanReader, TailUnreadable
from pushcast.kafka.clients import client_config
from pushcast.kafka.group_offsets import senders_of
from pushcast.kafka.topics.errors import ClusterUnavailable
from pushcast.kafka.topics.facts import cluster_facts
from pushcast.model.clock import Clock
from pushcast.model.words import Lane, Platform
from pushcast.observe import stage_counters
from pushcast.spread.agent import SpreadStage
from pushcast.spread.books import SpreadBooks
from pushcast.spread.counters import COUNTERS
from pushcast.spread.exact import LogIds, SpreadHandover
from pushcast.spread.reads import ROLE, SOURCES
from pushcast.spread.senders import Absences
from pushcast.stream.batch import Bounds
from pushcast.stream.spec import Host, StageSpec, Subscription
from pushcast.stream.table import Table
from pushcast.wire import groups, topics

#: By intake topic, where its orders go.
WALK_TOPICS: Final = {topics.broadcast(lane): topics.walk(lane) for lane in Lane}
#: Broadcasts are few, and up to 1 MiB each.
BOUNDS: Final = Bounds(records=100, bytes=8 << 20)


def specs(settings: Settings, lanes: Sequence[Lane], platforms: Sequence[Platform]) -> list[StageSpec]:
    """One App of all lanes."""

    def made(host: Host, tables: Sequence[Table]) -> SpreadStage:
        counters: Counter[tuple[str, str]] = Counter()
        host.metrics.add_source(lambda: stage_counters.stage(ROLE, "", counters, COUNTERS))
        reader = SpanReader(settings.kafka.bootstrap_servers, settings.kafka.security)
        handover = SpreadHandover(
            WALK_TOPICS,
            settings.kafka.partitions,
            outbox=host.outbox,
            reader=reader,
            clock=host.clock,
            log_ids=log_ids(settings),
        )
        host.metrics.add_source(lambda: stage_counters.takeovers(ROLE, "", handover.counters))
        return SpreadStage(
            settings,
            WALK_TOPICS,
            outbox=host.outbox,
            clock=host.clock,
            handover=handover,
            control=host.control,
            counters=counters,
            fatal=host.fatal,
            books=SpreadBooks(
                reader,
                settings.kafka.partitions,
                host.clock,
                _absences(settings, reader, host.clock),
                handover.counters,
            ),
            schemas=host.schemas,
        )

    return [
        StageSpec(
            role=ROLE,
            group=groups.SPREAD,
            subscriptions=(Subscription(SOURCES, BOUNDS),),
            build=made,
            produces=(*WALK_TOPICS.values(), topics.CONTROL),
        )
    ]


def _absences(settings: Settings, reader: SpanReader, clock: Clock) -> Absences:
    senders = {str(lane): senders_of(settings.kafka, lane) for lane in Lane}
    return Absences(senders, reader, settings.kafka.partitions, clock)


def log_ids(settings: Settings) -> LogIds:
    """Asks the cluster for a topic's id, beside the loop. Raises TailUnreadable, which is tried again."""
    client = client_config(settings.kafka.bootstrap_servers, settings.kafka.security, tool=True)

    async def ask(topic: str) -> str:
        try:
            found = await asyncio.to_thread(cluster_facts, client, [topic])
        except ClusterUnavailable as error:
            raise TailUnreadable(str(error)) from error
        log_id = found.log_id(topic)
        if log_id is None:
            raise TailUnreadable(f"{topic} is not there")
        return log_id

    return ask
