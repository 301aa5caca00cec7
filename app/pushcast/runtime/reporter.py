"""The process of role `reporter`: reports of the partitions that Kafka assigns, and the port where they are asked."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import structlog
import uvloop

from pushcast import __version__
from pushcast.config.doors import Reports
from pushcast.config.settings import Settings
from pushcast.kafka.acks import AckProducer
from pushcast.kafka.clients import client_config, member_config
from pushcast.kafka.reach import warn_without_broker
from pushcast.kafka.static_id import static_id
from pushcast.kafka.topics.facts import check_cluster
from pushcast.model.errors import ConfigurationError
from pushcast.model.urls import http_url
from pushcast.observe.catalogue import BY_NAME, MetricName
from pushcast.observe.logs import configure_logging
from pushcast.observe.loop_delay import LoopDelay
from pushcast.observe.metrics import Metrics, Sample
from pushcast.observe.vocabulary import Vocabulary
from pushcast.report import samples
from pushcast.report.apply import BOOKS
from pushcast.report.asking_schemas import AskedSchemas
from pushcast.report.fetch import read_token
from pushcast.report.follow import Follower
from pushcast.report.modes import modes_of
from pushcast.report.questions import ReportQuestions
from pushcast.report.server import ReportServer
from pushcast.report.slo import ServiceLevel
from pushcast.runtime import whereabouts
from pushcast.runtime.canaries import Canaries, canaries_of
from pushcast.runtime.child import tell_supervisor
from pushcast.runtime.collector import collect_seldom
from pushcast.runtime.daily_export import OWNER_PARTITION, DailyExport
from pushcast.runtime.memory import keep_large_apart, share_pools
from pushcast.runtime.private_page import private_page
from pushcast.runtime.publishing import publish_again
from pushcast.runtime.reload import Reloader
from pushcast.runtime.systemd import READY, STOPPING, ServiceManager
from pushcast.runtime.webhooks import Webhooks
from pushcast.stream.errors import Full, OutboxFailed
from pushcast.stream.fatal import end_process
from pushcast.transport.folders import FolderLocks
from pushcast.transport.stage_tasks import watch
from pushcast.wire import groups, topics
from pushcast.wire.configured_schemas import schemas_of
from pushcast.wire.control import reporters

log = structlog.get_logger()

NAME: Final = "reporter"
ANNOUNCE_SECONDS: Final = 60.0
CLOSE_SECONDS: Final = 5.0


def run_reporter(settings: Settings, slot: str | None, ready_fd: int | None = None) -> int:
    """Blocks until SIGTERM or SIGINT. Returns 0 after an orderly stop. `ready_fd`: as `ProcessPlan` has it.

    Raises ConfigurationError and SlotTaken.
    """
    share_pools()
    keep_large_apart()
    configure_logging(NAME, settings.observe.log_level, settings.observe.log_json)
    warn_without_broker(settings.kafka.bootstrap_servers)
    return uvloop.run(run(settings, settings.reports or Reports(), slot, ready_fd))


def group_of(options: Reports) -> str:
    """Standbys read everything once more, in a group of their own."""
    return groups.REPORT_STANDBY if options.standby else groups.REPORT


class ReporterProcess:
    """What one reporter holds. Create it on the loop."""

    def __init__(
        self, settings: Settings, options: Reports, folder: Path, logs: dict[str, str], slot: str | None
    ) -> None:
        loop = asyncio.get_running_loop()
        kafka = settings.kafka
        self._options = options
        self._slot = slot
        self._apps = tuple(settings.apps)
        self._loop = loop
        self.group = group_of(options)
        self.metrics = Metrics(
            Vocabulary(
                apps=settings.apps,
                classes=settings.classes,
                topics=BOOKS,
                groups=(self.group,),
                partitions=kafka.partitions,
            )
        )
        # Its stores lie in the folder of its slot: a restart must find the partitions that they are of.
        schemas = schemas_of(settings)
        member = member_config(kafka.session_timeout_seconds, None if slot is None else static_id(slot, logs))
        self.follower = Follower(
            client_config(kafka.bootstrap_servers, kafka.security) | member,
            self.group,
            folder,
            logs,
            keep_days=options.keep_days,
            partitions=kafka.partitions,
            level=ServiceLevel(
                settings.slo.within_seconds,
                _now_ms(),
                settings.waiting_classes(),
                BY_NAME[MetricName.ACCEPTED_SECONDS].buckets,
            ),
            modes=modes_of(settings.classes),
            schemas=None if schemas is None else AskedSchemas(schemas, loop),
            fatal=end_process,
            moved=self._moved,
        )
        self.producer = AckProducer(
            kafka.bootstrap_servers, kafka.security, loop=loop, on_fatal=lambda error: end_process("producer", error)
        )
        # A standby only answers: what goes out, and what is counted, is the owner's.
        outward = settings.model_copy(update={"webhooks": {}}) if options.standby else settings
        self.webhooks = Webhooks(outward, self.producer, slot)
        canaries = [] if options.standby else canaries_of(settings)
        self.canaries = Canaries(canaries, kafka.partitions, self.producer, self.follower)
        self.metrics.add_source(self.canaries.samples)
        wanted = None if options.standby else options.export
        self.exports = None if wanted is None else DailyExport(wanted, lambda: OWNER_PARTITION in self.follower.stores)
        if self.exports is not None:
            self.metrics.add_source(self.exports.samples)
        self.server = ReportServer(ReportQuestions(self.follower), read_token(options.token_file))
        self._delay = LoopDelay(loop)
        self.metrics.add_source(self._delay)
        self.metrics.add_source(self._samples)
        self.page = private_page(settings, self.metrics, self._info, self.unready)

    def reload(self, settings: Settings) -> None:
        """Webhooks and canaries are those of these settings from now on. What cannot be used stays as it was."""
        if self._options.standby:
            return
        self._changing = asyncio.ensure_future(self.webhooks.change(settings.webhooks))
        self._changing.add_done_callback(_log_failure)
        try:
            self.canaries.change(canaries_of(settings))
        except ConfigurationError as error:
            log.error("canaries_not_changed", problem=str(error))  # noqa: TRY400 - a sentence, no traceback

    def unready(self) -> list[str]:
        """Why its answers would not be whole, one sentence each."""
        if self.follower.waits is not None:
            return [self.follower.waits]
        return [] if self.follower.stores else ["no partition is assigned"]

    def _moved(self) -> None:
        self._loop.call_soon_threadsafe(self.announce)

    def announce(self) -> None:
        """Says in push.where.v1 which partitions are asked here."""
        host = self._options.advertised_host or self._options.host
        entry = reporters.encode(reporters.Reporter(http_url(host, self.server.port), _now_ms()))
        for partition in list(self.follower.stores):
            try:
                self.producer.put(topics.WHERE, 0, reporters.key_of(partition, self._options.standby), entry)
            except (Full, OutboxFailed) as error:
                log.warning("not_announced", error=str(error))
                return

    async def announce_again(self) -> None:
        """Now and then: the topic keeps what is said for a day."""
        while True:
            await asyncio.sleep(ANNOUNCE_SECONDS)
            self.announce()

    async def close(self) -> None:
        """Closes the stores last."""
        await self.server.close()
        await self.webhooks.close()
        await asyncio.to_thread(self.follower.close)
        await self.producer.close(CLOSE_SECONDS)
        self._delay.close()
        await self.page.close()

    def _info(self) -> dict[str, Any]:
        behind = self.follower.behind()
        return {
            "version": __version__,
            "name": NAME,
            "slot": self._slot,
            "groups": [self.group],
            "partitions": sorted(self.follower.stores),
            "behind": sum(behind.values()),
            "applied": self.follower.applied,
            "webhooks": self.webhooks.info(),
        }

    def _samples(self) -> Iterable[Sample]:
        yield Sample(MetricName.INFO, 1, (NAME, __version__))
        yield Sample(MetricName.REPORT_PARTITIONS, len(self.follower.stores))
        yield from () if self._options.standby else self._level()
        yield from samples.of(self.follower, _now_ms())
        yield from self.webhooks.samples()

    def _level(self) -> Iterable[Sample]:
        """The service level, which each delivery counts in once, as events do."""
        for app in self._apps:
            yield Sample(MetricName.ENGAGEMENT_UNMATCHED, 0, (app,))
        for app, count in self.follower.unmatched().items():
            yield Sample(MetricName.ENGAGEMENT_UNMATCHED, count, (app,))
        level = self.follower.level
        for name, counted in ((MetricName.SLO_PLANNED, level.planned), (MetricName.SLO_LATE, level.late)):
            for app_and_class, count in dict(counted).items():
                yield Sample(name, count, app_and_class)
        for lane, counts in dict(level.timings.counts).items():
            self.metrics.put_histogram(MetricName.ACCEPTED_SECONDS, counts, level.timings.seconds[lane], (lane,))


async def run(settings: Settings, options: Reports, slot: str | None, ready_fd: int | None = None) -> int:
    """`run_reporter` on a loop."""
    facts = await asyncio.to_thread(check_cluster, settings)
    logs = {topic: log_id for topic in BOOKS if (log_id := facts.log_id(topic)) is not None}
    # Broadcasts are younger than reports: without their topic there are none.
    if missing := sorted({topics.PLANNED, topics.RECEIPT} - logs.keys()):
        raise ConfigurationError(f"{', '.join(missing)}: not there; run `pushcast topology apply`")
    folder = settings.data_dir / f"{group_of(options)}-{slot or os.getpid()}"
    locks = FolderLocks([folder])
    process = ReporterProcess(settings, options, folder, logs, slot)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    manager = ServiceManager.of(os.environ)
    reloader = Reloader(settings, [process])
    process.metrics.add_source(reloader.samples)
    beside = [asyncio.create_task(manager.keep_alive(list)), asyncio.create_task(reloader.run())]
    beside.append(asyncio.create_task(process.canaries.run()))
    if process.exports is not None:
        beside.append(asyncio.create_task(process.exports.run()))
    await process.page.start()
    where = whereabouts.Whereabouts(NAME, os.getpid(), settings.observe.host, process.page.port)
    path = whereabouts.write(settings.data_dir, where)
    tasks = [asyncio.create_task(process.announce_again())]
    if facts.log_id(topics.REPORT) is not None and not options.standby:  # the topic is younger than reports
        tasks.append(asyncio.create_task(publish_again(process.producer, process.follower.unpublished)))
    for task in (*beside, *tasks):
        task.add_done_callback(watch)
    try:
        await process.server.start(options.host, options.port)
        collect_seldom()
        process.follower.start()
        await process.webhooks.start()
        log.info("listening", host=options.host, port=process.server.port, groups=[process.group])
        tell_supervisor(ready_fd)
        manager.tell(READY)
        await stop.wait()
    except OSError as error:
        raise ConfigurationError(f"reports: {options.host}:{options.port}: {error.strerror}") from None
    finally:
        manager.tell(STOPPING)
        for task in beside:
            task.cancel()
        for task in tasks:
            task.cancel()
        await process.close()
        path.unlink(missing_ok=True)
        locks.close()
    log.info("stopped", code=0)
    return 0


def _log_failure(done: asyncio.Future[None]) -> None:
    if not done.cancelled() and (error := done.exception()) is not None:
        log.error("webhooks_not_changed", problem=str(error))


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
