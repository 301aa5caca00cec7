"""Puts a registrar together from the settings."""

from __future__ import annotations

import faust

from pushcast.config.settings import Settings
from pushcast.model.clock import Clock
from pushcast.register.admit import Admission
from pushcast.register.agent import RegisterStage
from pushcast.register.claim import STAGE
from pushcast.register.names import Topics
from pushcast.register.ports import Counters
from pushcast.stream.batch import Bounds
from pushcast.stream.flood import FloodGuard
from pushcast.stream.ports import Outbox
from pushcast.transport.app import add_batch_stage, add_devices_table
from pushcast.transport.work import AppWork
from pushcast.wire.control_state import ControlState
from pushcast.wire.devices import DeviceChangeDecoder
from pushcast.wire.schemas import SchemaSource

BOUNDS = Bounds(records=10_000, bytes=8 << 20)
#: Of all holds in one process; what is beyond it waits in Kafka.
HOLDS_BYTES = 64 << 20


def build(
    settings: Settings,
    app: faust.App,
    outbox: Outbox,
    clock: Clock,
    *,
    control: ControlState,
    counters: Counters | None = None,
    schemas: SchemaSource | None = None,
    names: Topics | None = None,
) -> RegisterStage:
    """Declares REGISTER on an App that has not started: the devices table and the stage over its three topics.

    The outbox belongs to the caller, who starts it before the App and stops it after; and so does whoever keeps
    `control` up to date.
    """
    names = names or Topics()
    decoder = DeviceChangeDecoder(settings.apps, schemas)
    table = add_devices_table(app, names.device)
    table.guard(STAGE)
    stage = RegisterStage(
        Admission(decoder, names.invalid, settings.kafka.partitions, clock),
        table,
        outbox,
        clock,
        Counters() if counters is None else counters,
        control=control,
        hold_seconds=settings.devices.hold_seconds,
        names=names,
        holds_table=table.held,
        schemas=schemas,
        flood=FloodGuard(settings.flood, clock),
    )
    add_batch_stage(app, (names.changed, names.invalid), stage, bounds=BOUNDS)
    hold_bytes = max(1 << 20, HOLDS_BYTES // settings.kafka.partitions)
    add_batch_stage(app, (names.hold,), stage, bounds=Bounds(records=BOUNDS.records, bytes=hold_bytes))
    stage.work = AppWork(app, (names.changed, names.invalid, names.hold))
    return stage
