"""Puts the Apps of a process together: role by role, from the settings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import faust

from pushcast.config.settings import Settings
from pushcast.kafka.outbox import Outbox
from pushcast.kafka.topics import check_edges, load_topology
from pushcast.model.clock import SystemClock
from pushcast.model.errors import ConfigurationError
from pushcast.model.words import Lane, Platform
from pushcast.plan.agent import PlanStage
from pushcast.plan.agent import bounds as plan_bounds
from pushcast.plan.exact import build_handover
from pushcast.poll import build as poll
from pushcast.poll.agent import group_of as poll_group
from pushcast.poll.figures import Figures as PollFigures
from pushcast.providers.pacing import LANE_WEIGHTS
from pushcast.providers.port import Provider
from pushcast.register.build import build as build_register
from pushcast.runtime.quota_shares import Sending
from pushcast.send.agent import group_of
from pushcast.send.budget import Budget
from pushcast.send.build import bounds as send_bounds
from pushcast.send.build import build as build_send
from pushcast.send.build import build_breakers
from pushcast.send.exact import build_ledgers
from pushcast.send.figures import Figures
from pushcast.settle import build as settle
from pushcast.settle.agent import GROUP as SETTLE_GROUP
from pushcast.settle.agent import SOURCES as SETTLE_SOURCES
from pushcast.settle.exact import build_handover as settle_handover
from pushcast.stream.batch import Bounds
from pushcast.stream.fatal import end_process
from pushcast.stream.stage import BatchStage
from pushcast.transport.app import add_batch_stage, add_devices_table, make_app
from pushcast.transport.table import SourceTable
from pushcast.wire import topics
from pushcast.wire.control_state import ControlState
from pushcast.wire.schemas import SchemaSource

REGISTER_GROUP = "pushcast-register"
SEND_POLL_RECORDS = 50  # a record holds up to 1,000 targets
SEND_FETCH_BYTES = 1 << 20
#: Consumer groups whose records wait unfinished by design.
WAITING_GROUPS = frozenset({SETTLE_GROUP, *map(poll_group, topics.TICKET_PLATFORMS)})


@dataclass
class Hosted:
    """What one process holds."""

    apps: list[faust.App] = field(default_factory=list)
    tables: dict[str, SourceTable] = field(default_factory=dict)  # by App name
    providers: list[Provider] = field(default_factory=list)
    sending: list[Sending] = field(default_factory=list)  # who shares a provider's quota
    register: Counter[tuple[str, str]] = field(default_factory=Counter)
    plan: dict[Lane, Counter[tuple[str, str]]] = field(default_factory=dict)
    send: Figures = field(default_factory=Figures)
    settle: Counter[tuple[str, str]] = field(default_factory=Counter)
    poll: PollFigures = field(default_factory=PollFigures)
    budget: Budget | None = None
    tails: list[tuple[tuple[str, str], Counter[str]]] = field(default_factory=list)  # (role, lane or ""), takeovers
    control: ControlState = field(default_factory=ControlState)  # whole before the Apps start


def host(
    settings: Settings,
    roles: Sequence[str],
    lanes: Sequence[Lane],
    platforms: Sequence[Platform],
    slot: str | None,
    outbox: Outbox,
) -> Hosted:
    """Declares every App of these roles; connects to nothing. Raises ConfigurationError."""
    hosted = Hosted()
    for role in roles:
        if role == "registrar":
            _registrar(settings, slot, outbox, hosted)
        elif role == "planner":
            for lane in lanes:
                _planner(settings, lane, slot, outbox, hosted)
        elif role == "sender":
            _senders(settings, lanes, platforms, slot, outbox, hosted)
        elif role == "settler":
            _settler(settings, slot, outbox, hosted)
            _pollers(settings, slot, outbox, hosted)
        else:
            raise ConfigurationError(f"role {role!r} is not built yet")
    return hosted


def producible(roles: Sequence[str]) -> dict[str, int]:
    """Every topic that the topology lets these roles write, with the largest record it takes in bytes."""
    allowed = [topic for role in roles for topic in load_topology().for_producer(role)]
    return {topic.name: int(topic.settings["max.message.bytes"]) for topic in allowed}


def _declare(app: faust.App, role: str, names: Sequence[str], stage: BatchStage, bounds: Bounds) -> None:
    """A stage of an App, held against the topology. Raises UndeclaredEdge."""
    check_edges(role, names, ())
    add_batch_stage(app, names, stage, bounds=bounds)


def plan_group(lane: Lane) -> str:
    """Consumer group of the planner App of a lane."""
    return f"pushcast-plan-{lane}"


def _app(settings: Settings, name: str, slot: str | None, **options: int) -> faust.App:
    kafka = settings.kafka
    return make_app(
        name,
        bootstrap_servers=kafka.bootstrap_servers,
        security=kafka.security,
        partitions=kafka.partitions,
        data_dir=settings.data_dir,
        slot=slot,
        commit_interval_seconds=kafka.commit_interval_seconds,
        session_timeout_seconds=kafka.session_timeout_seconds,
        **options,
    )


def _schemas(settings: Settings) -> SchemaSource | None:
    """Confluent frames are readable only with a registry."""
    if settings.schemas.registry_url is None:
        return None
    from pushcast.wire.registry import RegistrySchemas

    return RegistrySchemas(settings.schemas.registry_url)


def _registrar(settings: Settings, slot: str | None, outbox: Outbox, hosted: Hosted) -> None:
    app = _app(settings, REGISTER_GROUP, slot)
    check_edges(
        "registrar",
        (topics.DEVICE_CHANGED, topics.TOKEN_INVALID, topics.TOKEN_HOLD),
        (topics.DEVICE, topics.TOKEN_HOLD),
    )
    build_register(
        settings,
        app,
        outbox,
        SystemClock(),
        control=hosted.control,
        counters=hosted.register,
        schemas=_schemas(settings),
    )
    hosted.apps.append(app)


def _planner(settings: Settings, lane: Lane, slot: str | None, outbox: Outbox, hosted: Hosted) -> None:
    app = _app(settings, plan_group(lane), slot)
    table = add_devices_table(app, topics.DEVICE)
    counters = hosted.plan.setdefault(lane, Counter())
    handover = build_handover(settings, lane, outbox, SystemClock())
    hosted.tails.append((("planner", lane), handover.counters))
    stage = PlanStage(
        settings,
        lane,
        table,
        outbox,
        SystemClock(),
        schemas=_schemas(settings),
        fatal=lambda error: end_process(f"plan-{lane}", error),
        counters=counters,
        handover=handover,
    )
    _declare(app, "planner", [topics.notification(lane)], stage, plan_bounds(settings))
    hosted.apps.append(app)
    hosted.tables[app.conf.id] = table


def _settler(settings: Settings, slot: str | None, outbox: Outbox, hosted: Hosted) -> None:
    app = _app(settings, SETTLE_GROUP, slot, max_partition_fetch_bytes=settle.FETCH_BYTES)
    handover = settle_handover(settings, outbox, SystemClock())
    hosted.tails.append((("settler", ""), handover.counters))
    stage = settle.build(
        settings,
        outbox,
        counters=hosted.settle,
        handover=handover,
        control=hosted.control,
    )
    _declare(app, "settler", SETTLE_SOURCES, stage, settle.bounds(settings))
    hosted.apps.append(app)


def _pollers(settings: Settings, slot: str | None, outbox: Outbox, hosted: Hosted) -> None:
    for platform in sorted(topics.TICKET_PLATFORMS):
        names = [name for name, app in settings.apps.items() if platform in app.platforms()]
        if not names:
            continue
        from pushcast.providers import registry

        sources = {name: registry.build(name, platform, settings) for name in names}
        hosted.providers += sources.values()
        app = _app(settings, poll_group(platform), slot, max_partition_fetch_bytes=poll.FETCH_BYTES)
        stage = poll.build(settings, platform, sources, outbox, figures=hosted.poll)
        _declare(app, "settler", [topics.ticket(platform)], stage, poll.bounds(settings))
        hosted.apps.append(app)


def _senders(
    settings: Settings,
    lanes: Sequence[Lane],
    platforms: Sequence[Platform],
    slot: str | None,
    outbox: Outbox,
    hosted: Hosted,
) -> None:
    # Engines and their libraries cost half a second of CPU: planners and registrars start without them.
    from pushcast.providers import registry

    hosted.budget = Budget(settings.send.max_in_flight)
    breakers = build_breakers(settings, hosted.control, outbox, hosted.send)
    for platform in platforms:
        providers = {
            name: registry.build(name, platform, settings)
            for name, app in settings.apps.items()
            if platform in app.platforms()
        }
        if not providers:
            continue
        hosted.providers += providers.values()
        for lane in lanes:
            app = _app(
                settings,
                group_of(platform, lane),
                slot,
                max_poll_records=SEND_POLL_RECORDS,
                max_partition_fetch_bytes=SEND_FETCH_BYTES,
            )
            ledgers = build_ledgers(settings, group_of(platform, lane), outbox)
            hosted.tails.append((("sender", lane), ledgers.counters))
            stage = build_send(
                settings,
                platform=platform,
                lane=lane,
                providers=providers,
                outbox=outbox,
                budget=hosted.budget,
                figures=hosted.send,
                ledgers=ledgers,
                breakers=breakers,
            )
            _declare(app, "sender", [topics.send(platform, lane)], stage, send_bounds(settings))
            hosted.apps.append(app)
            for name, provider in providers.items():
                if hasattr(provider, "share"):
                    weights = getattr(getattr(settings.apps[name], platform), "lane_weights", None)
                    by_lane = LANE_WEIGHTS if weights is None else weights.by_lane()
                    hosted.sending.append(Sending(provider, lane, stage.work, by_lane))
