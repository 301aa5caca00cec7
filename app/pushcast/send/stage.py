"""SEND as the runtime hosts it: an App per platform and lane; those of one process share budget and breakers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from pushcast.config.settings import Settings
from pushcast.kafka.permits import Permits
from pushcast.model.clock import SystemClock
from pushcast.model.words import Lane, Platform
from pushcast.observe.catalogue import MetricName
from pushcast.observe.metrics import Sample
from pushcast.observe.stage_counters import takeovers
from pushcast.observe.tracing import spans_of, tracer
from pushcast.providers.pool_samples import pool_samples
from pushcast.providers.port import GivesUpHosts, Pooled, Provider, WithCredential
from pushcast.send.agent import SendStage
from pushcast.send.budget import Budget
from pushcast.send.build import bounds, build, build_breakers
from pushcast.send.early import EarlyConnections
from pushcast.send.exact import build_ledgers
from pushcast.send.figures import Figures
from pushcast.send.isolation import Breakers
from pushcast.send.proof import Proof, outputs_of
from pushcast.send.quota_shares import QuotaShares, Sending
from pushcast.send.reached import ReachedHosts
from pushcast.send.reads import ROLE
from pushcast.send.samples import samples_of
from pushcast.stream.keyring_heartbeat import KeyringHeartbeat
from pushcast.stream.ports import PatientOutbox
from pushcast.stream.spec import Host, StageSpec, Subscription
from pushcast.stream.table import Table
from pushcast.stream.token_keys import KeyringFile
from pushcast.wire import groups, topics
from pushcast.wire.sealing.keyring import KeyringRole

#: A send record holds up to 1,000 targets: few of them a poll, and many bytes a fetch.
FETCH = {"max_poll_records": 50, "max_partition_fetch_bytes": 1 << 20}


def specs(settings: Settings, lanes: Sequence[Lane], platforms: Sequence[Platform]) -> list[StageSpec]:
    """An App for each lane of each platform that an app is configured for."""
    senders = Senders(settings)
    configured = {platform for app in settings.apps.values() for platform in app.platforms()}
    return [
        StageSpec(
            role=ROLE,
            group=groups.send(platform, lane),
            subscriptions=(Subscription((topics.send(platform, lane),), bounds(settings)),),
            build=partial(senders.build, platform, lane),
            fetch=FETCH,
        )
        for platform in platforms
        if platform in configured
        for lane in lanes
    ]


class Senders:
    """What the senders of one process have in common, made with the first of them."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._figures = Figures()
        self._budget = Budget(settings.send.max_in_flight)
        self._breakers: Breakers | None = None
        self._quota = QuotaShares(settings.kafka.partitions)
        self._permits: Permits | None = None
        file = settings.sealing.keyring_file
        self._keyring = None if file is None else KeyringFile(file, KeyringRole.SENDER)
        self._providers: dict[Platform, dict[str, Provider]] = {}

    def build(self, platform: Platform, lane: Lane, host: Host, tables: Sequence[Table]) -> SendStage:
        """The stage of one platform and lane."""
        if self._breakers is None:
            self._breakers = build_breakers(self._settings, host.control, host.outbox, self._figures)
            self._quota.fatal = host.fatal
            host.resources.append(self._quota)
            if self._keyring is not None:
                host.resources.append(
                    KeyringHeartbeat(KeyringRole.SENDER, self._keyring.keys, host.outbox, SystemClock())
                )
            host.metrics.add_source(lambda: samples_of(self._figures))
            host.metrics.add_source(self._in_flight)
            host.metrics.add_source(self._pools)
            if self._settings.observe.tracing:
                self._figures.spans = spans_of(tracer())
            self._figures.latencies = lambda app, sent_by, seconds: host.metrics.observe(
                MetricName.PROVIDER_SECONDS, seconds, (app, sent_by)
            )
        providers = self._providers_of(platform, host)
        if lane is Lane.URGENT:
            host.resources.append(EarlyConnections(providers.values(), host.fatal))
        ledgers = build_ledgers(self._settings, groups.send(platform, lane), host.outbox)
        host.metrics.add_source(lambda: takeovers(ROLE, lane, ledgers.counters))
        stage = build(
            self._settings,
            platform=platform,
            lane=lane,
            providers=providers,
            outbox=host.outbox,
            budget=self._budget,
            figures=self._figures,
            exact=ledgers,
            breakers=self._breakers,
            proof=self._proof_of(platform, lane, host),
            cancels=host.cancels,
            keys=None if self._keyring is None else self._keyring.keys,
        )
        for name, provider in providers.items():
            weights = getattr(getattr(self._settings.apps[name], platform), "lane_weights", None)
            self._quota.add(Sending(provider, lane, stage, None if weights is None else weights.by_lane()))
        return stage

    def _proof_of(self, platform: Platform, lane: Lane, host: Host) -> Proof | None:
        if not isinstance(host.outbox, PatientOutbox):
            return None
        if self._permits is None:
            self._permits = Permits(self._settings.kafka.bootstrap_servers, self._settings.kafka.security)
        return Proof(host.outbox, outputs_of(platform, lane), self._permits.refused)

    def _providers_of(self, platform: Platform, host: Host) -> dict[str, Provider]:
        if platform not in self._providers:
            # Engines and their libraries cost half a second of CPU: only who sends imports them.
            from pushcast.providers import registry

            made = {
                name: registry.build(name, platform, self._settings)
                for name, app in self._settings.apps.items()
                if platform in app.platforms()
            }
            hosts = ReachedHosts(host.outbox, SystemClock())
            for name, provider in made.items():
                if isinstance(provider, GivesUpHosts):
                    provider.tell_reached(partial(hosts.tell, name))
            host.resources.extend(made.values())
            self._providers[platform] = made
        return self._providers[platform]

    def _in_flight(self) -> Iterator[Sample]:
        yield Sample(MetricName.IN_FLIGHT_LIMIT, self._budget.capacity)
        for platform, providers in self._providers.items():
            for name in providers:
                for lane in Lane:  # keys as `SendStage` makes them; lanes add up
                    yield Sample(MetricName.IN_FLIGHT, self._budget.held_by((name, platform, lane)), (name, platform))

    def _pools(self) -> Iterator[Sample]:
        for platform, providers in self._providers.items():
            for name, provider in providers.items():
                if isinstance(provider, Pooled):
                    yield from pool_samples(name, platform, provider.pools())
                if isinstance(provider, WithCredential) and (ends := provider.credential_expires_at()) is not None:
                    yield Sample(MetricName.CREDENTIAL_EXPIRES, ends, (name, platform))
