"""REGISTER as the runtime hosts it: one App over device changes, dead tokens and holds, beside the devices table."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from pushcast.config.settings import Settings
from pushcast.handover.reading import SpanReader
from pushcast.handover.seal_reading import seals_told
from pushcast.model.words import Lane, Platform
from pushcast.observe import stage_counters
from pushcast.register.agent import RegisterStage
from pushcast.register.build import build, subscriptions
from pushcast.register.counters import COUNTERS, sweeps
from pushcast.register.names import STAGE, Topics
from pushcast.register.ports import Counters
from pushcast.register.reads import ROLE
from pushcast.register.tokens import PLAIN, SealedTokens, Tokens
from pushcast.stream.keyring_heartbeat import KeyringHeartbeat
from pushcast.stream.seal_count import SealCount
from pushcast.stream.spec import Host, StageSpec, TableSpec
from pushcast.stream.table import Table
from pushcast.stream.token_keys import KeyringFile
from pushcast.wire import groups, topics
from pushcast.wire.sealing.keyring import KeyringRole

#: A registration may take some milliseconds more; its rows come back as few at a time as they were written.
FETCH: Final = {"gather_ms": 5}


def specs(settings: Settings, lanes: Sequence[Lane], platforms: Sequence[Platform]) -> list[StageSpec]:
    """The registrar's one App: it has no lanes."""
    names = Topics()

    def made(host: Host, tables: Sequence[Table]) -> RegisterStage:
        counters = Counters()
        host.metrics.add_source(lambda: stage_counters.stage(ROLE, "", counters, COUNTERS))
        tokens: Tokens = PLAIN
        intake: Callable[[], Mapping[str, X25519PrivateKey]] | None = None
        if (file := settings.sealing.keyring_file) is not None:
            keyring = KeyringFile(file, KeyringRole.REGISTRAR)
            tokens = sealed = SealedTokens(keyring.keys, os.urandom)
            kafka = settings.kafka
            read = seals_told(SpanReader(kafka.bootstrap_servers, kafka.security))
            seals = SealCount(sealed.seals, read, host.outbox, host.clock)
            host.resources.append(seals)
            host.metrics.add_source(seals.samples)
            intake = partial(_intake, keyring)
            host.resources.append(KeyringHeartbeat(KeyringRole.REGISTRAR, keyring.keys, host.outbox, host.clock))
        stage = build(
            settings,
            tables[0],
            host.outbox,
            host.clock,
            control=host.control,
            counters=counters,
            schemas=host.schemas,
            names=names,
            tokens=tokens,
            intake=intake,
        )
        host.metrics.add_source(lambda: sweeps(stage.figures()))
        return stage

    return [
        StageSpec(
            role=ROLE,
            group=groups.REGISTER,
            subscriptions=subscriptions(settings, names),
            build=made,
            tables=(TableSpec(names.device, writer=STAGE),),
            produces=(names.device, names.hold, names.claim, topics.keep(Lane.URGENT)),
            waits_seconds=settings.devices.hold_seconds,
            fetch=FETCH,
        )
    ]


def _intake(keyring: KeyringFile) -> Mapping[str, X25519PrivateKey]:
    return keyring.keys().intake
