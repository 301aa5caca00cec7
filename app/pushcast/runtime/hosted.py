"""Puts the Apps of a process together: one for each stage of its roles, from the stage's spec."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import faust

from pushcast.config.settings import Settings
from pushcast.kafka.topics import check_edges, load_topology
from pushcast.kafka.topics.model import Topology
from pushcast.model.clock import Clock, SystemClock
from pushcast.model.errors import ConfigurationError
from pushcast.model.words import Lane, Platform
from pushcast.observe.metrics import Metrics, Sample
from pushcast.observe.vocabulary import Vocabulary
from pushcast.observe.zeros import of_sender, of_stage
from pushcast.runtime.reload import Reloads
from pushcast.runtime.roles import ROLES
from pushcast.send.proof import outputs_of
from pushcast.send.reads import ROLE
from pushcast.stream.cancelling import Cancels, NothingCancelled
from pushcast.stream.fatal import end_process
from pushcast.stream.ports import PositionedOutbox
from pushcast.stream.spec import Host, Resource, Specs, StageSpec
from pushcast.stream.stages import readings
from pushcast.transport.app import add_devices_table, add_stage, make_app, transport_of
from pushcast.transport.table import SourceTable
from pushcast.wire import topics
from pushcast.wire.configured_schemas import schemas_of
from pushcast.wire.control.cancel_state import CancelState
from pushcast.wire.control.control_state import ControlState


@dataclass
class Hosted:
    """What one process holds."""

    specs: list[StageSpec]
    metrics: Metrics
    control: ControlState  # whole before the Apps start
    cancels: CancelState
    resources: list[Resource]  # opened before the Apps start
    reloading: list[Reloads] = field(default_factory=list)  # stages that take changed settings
    apps: list[faust.App] = field(default_factory=list)
    tables: dict[str, list[SourceTable]] = field(default_factory=dict)  # by App name, in the order of the spec


def host(
    settings: Settings,
    roles: Sequence[str],
    lanes: Sequence[Lane],
    platforms: Sequence[Platform],
    slot: str | None,
    outbox: PositionedOutbox,
    *,
    known: Mapping[str, Specs] = ROLES,
    topology: Topology | None = None,
    clock: Clock | None = None,
    cancels: Cancels | None = None,
) -> Hosted:
    """Declares every App of these roles, held against the topology; connects to nothing.

    `known`: the roles there are. Raises ConfigurationError, UndeclaredEdge.
    """
    specs = [spec for role in roles for spec in specs_of(role, settings, lanes, platforms, known)]
    topology = topology or load_topology()
    metrics = Metrics(
        Vocabulary(
            apps=settings.apps,
            topics=[topic.name for topic in topology.topics],
            groups=[spec.group for spec in specs] + [each.group for each in readings()],
        )
    )
    context = Host(
        settings=settings,
        outbox=outbox,
        clock=clock or SystemClock(),
        control=ControlState(),
        schemas=schemas_of(settings),
        metrics=metrics,
        fatal=end_process,
        cancels=cancels or NothingCancelled(),
    )
    context.cancels.state.follow_campaigns(context.control)
    hosted = Hosted(specs, metrics, context.control, context.cancels.state, context.resources)
    by_group: dict[str, faust.App] = {}
    for spec in specs:
        consumed = [topic for each in spec.subscriptions for topic in each.topics]
        check_edges(spec.role, consumed, spec.produces, topology)
        app = by_group.get(spec.group)
        if app is None:
            app = by_group[spec.group] = _app(settings, spec, slot)
            hosted.tables[spec.group] = _tables(app, spec)
            hosted.apps.append(app)
        stage = spec.build(context, hosted.tables[spec.group])
        if isinstance(stage, Reloads):
            hosted.reloading.append(stage)
        add_stage(app, spec.subscriptions, stage)
        metrics.add_source(partial(zeros, settings, spec))
    return hosted


def _tables(app: faust.App, spec: StageSpec) -> list[SourceTable]:
    tables: list[SourceTable] = []
    for wanted in spec.tables:
        table = add_devices_table(app, wanted.topic, wanted.name)
        if wanted.writer:
            table.guard(wanted.writer)
        if wanted.index is not None:
            table.index_by(wanted.index)
        if wanted.by_key:
            table.read_by_key()
        if wanted.gathered:
            transport_of(app).gathered.add(wanted.topic)
        tables.append(table)
    return tables


def zeros(settings: Settings, spec: StageSpec) -> Iterator[Sample]:
    """Counters that stand at zero before anything happens."""
    consumed = {topic for each in spec.subscriptions for topic in each.topics}
    lanes = [lane for lane in Lane if any(f".{lane}." in topic for topic in consumed)]
    lane = lanes[0] if len(lanes) == 1 else ""  # what reads several counts without
    yield from of_stage(spec.role, lane)
    for platform in Platform:
        if lanes and topics.send(platform, lanes[0]) in consumed:
            yield from of_sender((n for n, app in settings.apps.items() if platform in app.platforms()), platform, lane)


def specs_of(
    role: str,
    settings: Settings,
    lanes: Sequence[Lane],
    platforms: Sequence[Platform],
    known: Mapping[str, Specs] = ROLES,
) -> list[StageSpec]:
    """The stages of a role. Raises ConfigurationError when there is no such role."""
    if role not in known:
        raise ConfigurationError(f"there is no role {role!r}; roles are {', '.join(known)}")
    return known[role](settings, lanes, platforms)


def producible(roles: Sequence[str], topology: Topology | None = None) -> dict[str, int]:
    """Every topic that the topology lets these roles write, with the largest record it takes in bytes."""
    allowed = [topic for role in roles for topic in (topology or load_topology()).for_producer(role)]
    return {topic.name: int(topic.settings["max.message.bytes"]) for topic in allowed}


def patient(roles: Sequence[str], platforms: Sequence[Platform], lanes: Sequence[Lane]) -> frozenset[str]:
    """Topics whose records wait when Kafka refuses them: outcomes of pushes that are out already."""
    if ROLE not in roles:
        return frozenset()
    return frozenset(topic for platform in platforms for lane in lanes for topic in outputs_of(platform, lane))


def _app(settings: Settings, spec: StageSpec, slot: str | None) -> faust.App:
    kafka = settings.kafka
    return make_app(
        spec.group,
        bootstrap_servers=kafka.bootstrap_servers,
        security=kafka.security,
        partitions=kafka.partitions,
        data_dir=settings.data_dir,
        slot=slot,
        commit_interval_seconds=kafka.commit_interval_seconds,
        session_timeout_seconds=kafka.session_timeout_seconds,
        **spec.fetch,
    )
