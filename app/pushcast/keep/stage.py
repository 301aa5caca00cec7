"""KEEP as the runtime hosts it: one App, because what it keeps of a user spans the lanes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from pushcast.config.rates import fcm_quotas, rates_of
from pushcast.config.settings import Settings
from pushcast.handover.reading import SpanReader
from pushcast.keep.agent import KeepStage
from pushcast.keep.badging import BadgeRules
from pushcast.keep.configured import KeepRules
from pushcast.keep.counters import COUNTERS
from pushcast.keep.exact import STAGE, KeepHandover
from pushcast.keep.outlook import OutlookRules
from pushcast.keep.read_back import EarlierEngagement
from pushcast.keep.reads import GATHERED, ROLE, SOURCES
from pushcast.keep.removals import RemovalRules
from pushcast.keep.written import WrittenEntries
from pushcast.model.forecast import Forecast, is_provider
from pushcast.model.pacing import Rates
from pushcast.model.words import Lane, Platform
from pushcast.observe import stage_counters
from pushcast.observe.catalogue import MetricName
from pushcast.observe.metrics import Sample
from pushcast.stream.batch import Bounds
from pushcast.stream.flood import FloodGuard
from pushcast.stream.sharing import Sharing
from pushcast.stream.spec import Host, StageSpec, Subscription, TableSpec
from pushcast.stream.table import Table
from pushcast.wire import groups, topics
from pushcast.wire.waiting.lifetimes import lifetimes

#: Of each partition, of which a keeper has many: a record takes 1.5 KB until its row is acknowledged.
BOUNDS = Bounds(records=1_000, bytes=1 << 20)
#: Nobody waits for the row of a timer that has left, but a successor: it looks for so much more in the tail.
CLOSING_GATHER_SECONDS = 0.1
#: Rows of the table are applied as they are fetched, in one step: what is urgent waits for no more of them.
FETCH = {"max_poll_records": 500}


def keep_rules(settings: Settings, rates: Rates) -> KeepRules:
    """What the configuration asks of timers; it says nothing of clocks and forecasts."""
    keep = settings.keep
    return KeepRules(
        settings.kafka.partitions,
        digests={name: each.digest_rule for name, each in settings.classes.items()},
        caps=settings.cap_rules,
        removals=RemovalRules(round(keep.removal_wait_seconds * 1000), keep.removals_per_hour),
        badges=BadgeRules(round(keep.badge_wait_seconds * 1000), keep.badges_per_hour),
        rates=rates,
        remember_ms=keep.remember_seconds * 1000,
        mandatory=frozenset(name for name, each in settings.classes.items() if each.mandatory),
    )


def to_expire(found: Forecast) -> Iterator[Sample]:
    """Of rates and of providers, 0 where nothing is."""
    by_provider = sum(count for cause, count in found.to_expire.items() if is_provider(cause))
    yield Sample(MetricName.TIMERS_TO_EXPIRE, sum(found.to_expire.values()) - by_provider, ("rate",))
    yield Sample(MetricName.TIMERS_TO_EXPIRE, by_provider, ("provider",))


def specs(settings: Settings, lanes: Sequence[Lane], platforms: Sequence[Platform]) -> list[StageSpec]:
    """The keeper's one App."""

    written = WrittenEntries()

    def made(host: Host, tables: Sequence[Table]) -> KeepStage:
        counters: Counter[tuple[str, str]] = Counter()
        exact = KeepHandover(settings, tables[0], host.outbox, host.clock)
        rates = rates_of(settings, host.control.paces)
        stage = KeepStage(
            tables[0],
            host.outbox,
            host.clock,
            exact,
            keep_rules(settings, rates)._replace(
                outlook=OutlookRules(
                    rates, settings.kafka.partitions, fcm_quotas(settings.apps), lifetimes(settings, host.schemas)
                ),
                hold_on_disagreement=settings.keep.hold_on_disagreement,
                closing_gather_seconds=CLOSING_GATHER_SECONDS,
            ),
            counters=counters,
            fatal=host.fatal,
            schemas=host.schemas,
            flood=FloodGuard(settings.flood, host.clock),
            cancels=host.cancels,
            earlier=EarlierEngagement(SpanReader(settings.kafka.bootstrap_servers, settings.kafka.security)),
            written=written,
            sharing=Sharing(host.clock),
        )

        def times() -> Iterator[Sample]:
            yield Sample(MetricName.TIMER_LATE, stage.parts.due_rows.late_seconds())
            yield Sample(MetricName.CLOCK_DISAGREEMENT, stage.disagreement_seconds())
            found = stage.forecast()
            yield Sample(MetricName.TIMERS_DUE_MINUTE, found.within_a_minute)
            yield Sample(MetricName.TIMERS_DUE_HOUR, found.within_an_hour)
            yield Sample(MetricName.TIMERS_DUE_DAY, found.within_a_day)
            yield Sample(MetricName.TIMERS_PEAK, 0 if found.peak is None else found.peak.due)
            yield from to_expire(found)
            yield Sample(MetricName.TIMERS_VOID, written.unreadable, ("unreadable",))

        host.metrics.add_source(lambda: stage_counters.stage(ROLE, "", counters, COUNTERS))
        host.metrics.add_source(lambda: stage_counters.takeovers(ROLE, "", exact.counters))
        host.metrics.add_source(times)
        return stage

    return [
        StageSpec(
            role=ROLE,
            group=groups.KEEP,
            subscriptions=(
                Subscription(tuple(topic for topic in SOURCES if topic not in GATHERED), BOUNDS),
                Subscription(GATHERED, BOUNDS, gathered=True),
            ),
            build=made,
            fetch=FETCH,
            # What is urgent leaves as soon as its row is acknowledged.
            tables=(TableSpec(topics.USER, "users", writer=STAGE, index=written.of, gathered=True),),
        )
    ]
