"""Puts a registrar together from the settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from pushcast.config.settings import Settings
from pushcast.config.stages import Sweep as SweepSettings
from pushcast.model.clock import Clock
from pushcast.register.admit import Admission
from pushcast.register.agent import RegisterStage
from pushcast.register.clear import in_clear
from pushcast.register.names import Topics
from pushcast.register.ports import Counters
from pushcast.register.sweep import DAY_MS, SweepRules
from pushcast.register.tokens import PLAIN, Tokens
from pushcast.stream.batch import Bounds
from pushcast.stream.flood import FloodGuard
from pushcast.stream.ports import Outbox
from pushcast.stream.spec import Subscription
from pushcast.stream.sweeps import SweepPace
from pushcast.stream.table import Table
from pushcast.wire.control.control_state import ControlState
from pushcast.wire.devices.devices import DeviceChangeDecoder
from pushcast.wire.schemas import SchemaSource
from pushcast.wire.sealing.sealed_intake import open_from_intake

BOUNDS = Bounds(records=10_000, bytes=8 << 20)
#: Of all holds in one process; what is beyond it waits in Kafka.
HOLDS_BYTES = 64 << 20


def build(
    settings: Settings,
    table: Table,
    outbox: Outbox,
    clock: Clock,
    *,
    control: ControlState,
    counters: Counters | None = None,
    schemas: SchemaSource | None = None,
    names: Topics | None = None,
    tokens: Tokens = PLAIN,
    intake: Callable[[], Mapping[str, X25519PrivateKey]] | None = None,
) -> RegisterStage:
    """The stage for `subscriptions`, beside the devices table, which must be guarded for `names.STAGE`.

    The outbox belongs to the caller, who starts it before the App and stops it after; and so does whoever keeps
    `control` up to date.
    """
    names = names or Topics()
    require = settings.sealing.require
    keys = intake or dict  # without a keyring there are none, and what is sealed is a dead letter
    decoder = DeviceChangeDecoder(
        settings.apps,
        schemas,
        opening=lambda sealed, place: open_from_intake(sealed, place, keys()),
        require_sealed=require,
    )
    return RegisterStage(
        Admission(decoder, names, settings.kafka.partitions, clock),
        table,
        outbox,
        clock,
        Counters() if counters is None else counters,
        control=control,
        hold_seconds=settings.devices.hold_seconds,
        names=names,
        schemas=schemas,
        schema_generation=settings.schemas.write,
        tokens=tokens,
        max_per_user=settings.devices.max_per_user,
        mirrored=settings.mirrored_apps(),
        withholds=partial(in_clear, names.changed) if require else None,
        rules=rules_of(settings.sweep),
        pace=SweepPace(settings.sweep.rows_per_second, settings.sweep.every_seconds),
        flood=FloodGuard(settings.flood, clock),
    )


def rules_of(sweep: SweepSettings) -> SweepRules:
    """When a sweep ends a row."""
    return SweepRules({platform: days * DAY_MS for platform, days in sweep.stale_days.items()}, sweep.max_share)


def subscriptions(settings: Settings, names: Topics) -> tuple[Subscription, ...]:
    """What REGISTER reads, and how much of it may be unfinished."""
    hold_bytes = max(1 << 20, HOLDS_BYTES // settings.kafka.partitions)
    return (
        Subscription((names.changed, names.invalid, names.evict), BOUNDS),
        Subscription((names.hold,), Bounds(records=BOUNDS.records, bytes=hold_bytes)),
        # A stage's room is per topic: a flood of engagement keeps no registration waiting.
        Subscription((names.engagement,), BOUNDS),
    )
