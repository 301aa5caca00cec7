"""MIRROR as the runtime hosts it: one App in the senders of FCM's bulk lane, who hold tokens' keys and reach FCM."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from pushcast.config.settings import Settings
from pushcast.mirror.agent import MirrorStage
from pushcast.mirror.counters import COUNTERS
from pushcast.mirror.project import Project
from pushcast.mirror.reads import ROLE
from pushcast.model.words import Lane, Platform
from pushcast.observe import stage_counters
from pushcast.stream.batch import Bounds
from pushcast.stream.flood import FloodGuard
from pushcast.stream.spec import Host, StageSpec, Subscription
from pushcast.stream.table import Table
from pushcast.stream.token_keys import KeyringFile
from pushcast.wire import groups, topics
from pushcast.wire.sealing.keyring import KeyringRole
from pushcast.wire.sealing.seals import TokenKeys

BOUNDS: Final = Bounds(records=2_000, bytes=4 << 20)


def specs(settings: Settings, lanes: Sequence[Lane], platforms: Sequence[Platform]) -> list[StageSpec]:
    """None where no app mirrors topics."""
    if Lane.BULK not in lanes or Platform.FCM not in platforms or not settings.mirrored_apps():
        return []

    def made(host: Host, tables: Sequence[Table]) -> MirrorStage:
        # Engines cost half a second of CPU: only who sends imports them.
        from pushcast.providers import registry

        projects: dict[str, Project] = {}
        for name in sorted(settings.mirrored_apps()):
            subscriptions = registry.build_subscriptions(name, settings)
            host.resources.append(subscriptions)
            chosen = settings.apps[name].fcm
            projects[name] = Project(name, subscriptions, () if chosen is None else chosen.mirror_topics, host.clock)
        counters: Counter[tuple[str, str]] = Counter()
        host.metrics.add_source(lambda: stage_counters.stage(ROLE, "", counters, COUNTERS))
        file = settings.sealing.keyring_file
        keyring = None if file is None else KeyringFile(file, KeyringRole.SENDER)
        return MirrorStage(
            projects,
            host.outbox,
            host.clock,
            counters,
            partitions=settings.kafka.partitions,
            keys=_no_keys if keyring is None else keyring.keys,
            flood=FloodGuard(settings.flood, host.clock),
        )

    subscription = Subscription((topics.TOKEN_TOPICS,), BOUNDS)
    return [StageSpec(role=ROLE, group=groups.MIRROR, subscriptions=(subscription,), build=made)]


def _no_keys() -> TokenKeys:
    return TokenKeys({}, None)
