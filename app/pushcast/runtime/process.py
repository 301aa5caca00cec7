"""One process: the Apps of its roles on one loop, one outbox, one page of figures."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from uuid import uuid4

import structlog
import uvloop

from pushcast.config.settings import Settings
from pushcast.handover.reading import SpanReader
from pushcast.kafka.cancels import CancelTail
from pushcast.kafka.clients import client_config
from pushcast.kafka.control import ControlTail
from pushcast.kafka.outbox import KafkaOutbox
from pushcast.kafka.positions import Positions, open_positions
from pushcast.kafka.reach import warn_without_broker
from pushcast.kafka.topics.facts import ClusterFacts, check_cluster
from pushcast.model.clock import SystemClock
from pushcast.model.roles import BY_LANE
from pushcast.model.words import Lane, Platform
from pushcast.observe.logs import configure_logging
from pushcast.observe.rate_limit import RateLimitFilter
from pushcast.runtime import whereabouts
from pushcast.runtime.child import tell_supervisor
from pushcast.runtime.collector import collect_seldom
from pushcast.runtime.group_watch import GroupWatch
from pushcast.runtime.hosted import Hosted, host, patient, producible
from pushcast.runtime.limits import allow_open_files
from pushcast.runtime.memory import give_back, keep_large_apart, share_pools
from pushcast.runtime.older import OlderReleases, read_before_planners
from pushcast.runtime.presence import Presence
from pushcast.runtime.reload import Reloader
from pushcast.runtime.senders import SenderWatch
from pushcast.runtime.status import Status
from pushcast.runtime.systemd import READY, STOPPING, ServiceManager
from pushcast.stream.fatal import end_process
from pushcast.stream.stages import readings
from pushcast.transport.app import transport_of
from pushcast.transport.folders import FolderLocks
from pushcast.transport.host import begin_anew, run_apps
from pushcast.transport.stage_tasks import watch
from pushcast.transport.watch import TopicWatch
from pushcast.wire.configured_schemas import schemas_of
from pushcast.wire.control.cancel_state import CancelState
from pushcast.wire.control.where import RELEASE, Where, key_of
from pushcast.wire.events.cancels import CancelDecoder
from pushcast.wire.topics import WHERE

log = structlog.get_logger()

#: Above a role's own quiesce bound, half the rebalance timeout; below the 30 s that supervisors give, ours and others.
STOP_SECONDS = 25.0
CLOSE_SECONDS = 10.0
OUTBOX_RECORDS = 100_000
SMALL_RECORDS_LINGER_SECONDS = 0.005
#: Of a process that nobody waits for. A request to Kafka holds one partition: the fewer, the less of the cores that
#: urgent work shares goes to requests.
BULK_LINGER_SECONDS = 0.05
KEEP_LINGER_SECONDS = 0.001
#: So long a thread computes in a keeper while others wait for Python's lock (CPython: 5 ms): the one that fetches waits
#: for it once for each record that comes by itself, and the loop's slices are a few milliseconds.
KEEP_SWITCH_SECONDS = 0.001
#: A planner sends urgent events to some forty partitions, one in a request (`kafka.writers`). Nobody waits for others.
URGENT_PRODUCERS = 4


def run_roles(
    settings: Settings,
    roles: Sequence[str],
    lanes: Sequence[Lane],
    platforms: Sequence[Platform],
    slot: str | None,
    since_ms: int | None = None,
    ready_fd: int | None = None,
) -> int:
    """Blocks until SIGTERM or SIGINT. Returns 0 after an orderly stop, 70 when an App crashed.

    `since_ms`: when the supervisor of this process started, milliseconds since the epoch; None without one.
    `ready_fd`: a descriptor that gets this process's id, a line, when everything is ready.

    Raises ConfigurationError (SlotTaken and PartitionsDiffer among them) and ControlUnreadable before anything is
    handled.
    """
    share_pools()
    if "keeper" in roles:
        keep_large_apart()  # its tables write and compact all the time
        sys.setswitchinterval(KEEP_SWITCH_SECONDS)
    name = process_name(roles, lanes)
    logs = configure_logging(name, settings.observe.log_level, settings.observe.log_json)
    warn_without_broker(settings.kafka.bootstrap_servers)
    manager = ServiceManager.of(os.environ)
    return uvloop.run(_run(settings, name, roles, lanes, platforms, slot, since_ms, logs, ready_fd, manager))


def linger_seconds(roles: Sequence[str], lanes: Sequence[Lane] = tuple(Lane)) -> float:
    """How long a record waits for others to leave with. PLAN writes a few large ones, and an urgent push waits for
    each; one that a cap counts waits for two of KEEP's. The other roles write many small ones; nobody waits for the
    receipts of pushes in bulk."""
    if "planner" in roles:
        return 0.0
    if "keeper" in roles:
        return KEEP_LINGER_SECONDS
    is_bulk = set(roles) == {"sender"} and set(lanes) == {Lane.BULK}
    return BULK_LINGER_SECONDS if is_bulk else SMALL_RECORDS_LINGER_SECONDS


def process_name(roles: Sequence[str], lanes: Sequence[Lane]) -> str:
    """`planner-urgent`, `registrar`, `planner-sender`: how the process is called in logs and in `<data_dir>/run`."""
    name = "-".join(roles)
    if len(lanes) < len(Lane) and not BY_LANE.isdisjoint(roles):
        name += "-" + "-".join(lanes)
    return name


def _ready(began: float, url: str, ready_fd: int | None, manager: ServiceManager) -> None:
    collect_seldom()
    give_back()
    log.info("ready", after_seconds=round(time.monotonic() - began, 1), url=url)
    tell_supervisor(ready_fd)
    manager.tell(READY)


def _watch(settings: Settings, hosted: Hosted, facts: ClusterFacts) -> TopicWatch:
    consumed = {topic for spec in hosted.specs for each in spec.subscriptions for topic in each.topics}
    copied = {table.topic for tables in hosted.tables.values() for table in tables}
    client = client_config(settings.kafka.bootstrap_servers, settings.kafka.security)
    return TopicWatch(client, facts, sorted(consumed | copied), lambda topic: begin_anew(hosted.apps, topic))


def _positions(settings: Settings) -> Positions:
    client = client_config(settings.kafka.bootstrap_servers, settings.kafka.security)
    return open_positions(client)


def _group_watch(settings: Settings, hosted: Hosted) -> GroupWatch:
    kafka = settings.kafka
    platforms = {platform for app in settings.apps.values() for platform in app.platforms()}
    # A platform that no app has needs no senders; its topics hold the planners' fences all the same.
    positions = _positions(settings)
    waiting = {settings.classes[name].lane for name in settings.waiting_classes()}
    found = GroupWatch(
        positions,
        readings(sorted(platforms)),
        kafka.partitions,
        kafka.bootstrap_servers,
        within_seconds=settings.slo.within_seconds,
        prompt=[lane for lane in Lane if lane not in waiting],
    )
    hosted.metrics.add_source(found.samples)
    return found


def _presence(settings: Settings, hosted: Hosted, slot: str, outbox: KafkaOutbox, since_ms: int | None) -> Presence:
    began_at = since_ms or time.time_ns() // 1_000_000
    me = Where(uuid4().hex, socket.gethostname(), os.getpid(), began_at, RELEASE)
    groups = [app.conf.id for app in hosted.apps]
    presence = Presence(
        me,
        slot,
        groups,
        outbox=outbox,
        reader=SpanReader(settings.kafka.bootstrap_servers, settings.kafka.security),
        interval_seconds=settings.kafka.session_timeout_seconds,
        fatal=end_process,
    )
    for app in hosted.apps:
        transport_of(app).on_id_lost = partial(presence.lost, app.conf.id)
    return presence


async def _require_no_older(settings: Settings, hosted: Hosted, lanes: Sequence[Lane], slot: str | None) -> None:
    kafka = settings.kafka
    await OlderReleases(SpanReader(kafka.bootstrap_servers, kafka.security)).require_none(
        read_before_planners(lanes),
        set() if slot is None else {key_of(app.conf.id, slot) for app in hosted.apps},
        now_ms=time.time_ns() // 1_000_000,
        session_timeout_seconds=kafka.session_timeout_seconds,
    )


def _cancels(settings: Settings) -> CancelTail:
    """Follows nothing until a stage owns a partition."""
    schemas = schemas_of(settings)
    return CancelTail(
        settings.kafka.bootstrap_servers,
        settings.kafka.security,
        CancelState(CancelDecoder(schemas)),
        clock=SystemClock(),
        fatal=end_process,
        schemas=schemas,
    )


async def _run(
    settings: Settings,
    name: str,
    roles: Sequence[str],
    lanes: Sequence[Lane],
    platforms: Sequence[Platform],
    slot: str | None,
    since_ms: int | None,
    logs: RateLimitFilter,
    ready_fd: int | None,
    manager: ServiceManager,
) -> int:
    began = time.monotonic()
    outbox = KafkaOutbox(
        settings.kafka.bootstrap_servers,
        security=settings.kafka.security,
        linger_seconds=linger_seconds(roles, lanes),
        loop=asyncio.get_running_loop(),
        on_fatal=lambda error: end_process("outbox", error),
        topics=producible(roles),
        patient=patient(roles, platforms, lanes),
        optional={WHERE},
        producers=URGENT_PRODUCERS if "planner" in roles and Lane.URGENT in lanes else 1,
        max_records=max(OUTBOX_RECORDS, settings.send.max_in_flight),  # an answer to everything in flight must fit
    )
    cancels = _cancels(settings)
    hosted: Hosted = host(settings, roles, lanes, platforms, slot, outbox, cancels=cancels)
    # Without a slot a member has no name that another could have too.
    locks = FolderLocks(Path(app.conf.datadir) for app in hosted.apps if slot is not None)
    allow_open_files(settings.kafka.partitions, sum(len(tables) for tables in hosted.tables.values()))
    for resource in hosted.resources:
        await resource.start()
    status = Status(settings, name, hosted, outbox, logs=logs, slot=slot)
    await status.start()
    where = whereabouts.Whereabouts(name, os.getpid(), settings.observe.host, status.port)
    path = whereabouts.write(settings.data_dir, where)
    log.debug("listening", host=where.host, port=where.port, groups=[app.conf.id for app in hosted.apps])
    control = ControlTail(settings.kafka.bootstrap_servers, settings.kafka.security, hosted.control, fatal=end_process)
    watching: list[asyncio.Task[None]] = []
    try:
        await control.start()  # before any stage works: it must know what is paused
        facts = await asyncio.to_thread(check_cluster, settings)
        if "planner" in roles and not settings.plan.beside_older:
            await _require_no_older(settings, hosted, lanes, slot)
        for table in (table for tables in hosted.tables.values() for table in tables):
            table.copy_of(facts.log_id(table.topic))
        status.watch = _watch(settings, hosted, facts)
        watching.append(asyncio.create_task(status.watch.run()))
        watching.append(asyncio.create_task(manager.keep_alive(status.problems)))
        reloader = Reloader(settings, hosted.reloading)
        hosted.metrics.add_source(reloader.samples)
        watching.append(asyncio.create_task(reloader.run()))
        if "planner" in roles:
            positions = _positions(settings)
            watching.append(asyncio.create_task(SenderWatch(positions, lanes, settings.kafka.partitions).run()))
        if "settler" in roles:
            watching.append(asyncio.create_task(_group_watch(settings, hosted).run()))
        if slot is not None:
            presence = _presence(settings, hosted, slot, outbox, since_ms)
            watching.append(asyncio.create_task(presence.run()))
        for task in watching:
            task.add_done_callback(watch)
        on_ready = partial(_ready, began, where.url, ready_fd, manager)
        code = await run_apps(hosted.apps, on_ready=on_ready, stop=asyncio.Event(), stop_seconds=STOP_SECONDS)
    finally:
        manager.tell(STOPPING)
        for task in watching:
            task.cancel()
        await control.close()
        await cancels.close()
        path.unlink(missing_ok=True)
    for resource in hosted.resources:
        await resource.close()
    left = await outbox.close(CLOSE_SECONDS)
    await status.close()
    locks.close()
    if left:
        log.warning("unacknowledged_at_stop", records=left)
    log.info("stopped", code=code)
    return code
