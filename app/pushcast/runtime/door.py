"""A process that lets people or programs in: the keys, pauses and reporters that it follows, its writer, its page.

Gateway and console are such processes; each adds its own server.
"""

from __future__ import annotations

import asyncio
import os
import signal
import ssl
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final, Protocol

import structlog
import uvloop

from pushcast import __version__
from pushcast.config.doors import Gateway, Reports
from pushcast.config.settings import Settings
from pushcast.gateway.access import Door
from pushcast.gateway.build import Calls, calls
from pushcast.gateway.connections import ConnectionBounds
from pushcast.gateway.keyring import ApiKeyring, read_first_keys
from pushcast.gateway.writing import Writer
from pushcast.kafka.acks import AckProducer
from pushcast.kafka.control import ControlTail
from pushcast.kafka.reach import warn_without_broker
from pushcast.kafka.topics.facts import check_cluster
from pushcast.model.errors import ConfigurationError
from pushcast.observe.catalogue import BY_NAME, MetricName
from pushcast.observe.logs import configure_logging
from pushcast.observe.loop_delay import LoopDelay
from pushcast.observe.metrics import Metrics, Sample
from pushcast.observe.vocabulary import Vocabulary
from pushcast.report.coordinator import Coordinator
from pushcast.report.fetch import Fetcher, read_token
from pushcast.report.goal import goal_of
from pushcast.runtime import whereabouts
from pushcast.runtime.child import tell_supervisor
from pushcast.runtime.collector import collect_seldom
from pushcast.runtime.lookups import sources_of
from pushcast.runtime.private_page import private_page
from pushcast.runtime.reload import Reloader
from pushcast.runtime.systemd import READY, STOPPING, ServiceManager
from pushcast.stream.assignment import boottime_seconds
from pushcast.stream.fatal import end_process
from pushcast.transport.stage_tasks import watch
from pushcast.wire import topics
from pushcast.wire.control.control_state import ControlState
from pushcast.wire.control.reporters import Reporters
from pushcast.wire.events.class_rules import class_rules

log = structlog.get_logger()

#: A view of the keys that is older than this is not to be trusted: a revoked key might still open.
STALE_SECONDS: Final = 10.0
CLOSE_SECONDS: Final = 8.0


class Listen(Protocol):
    """Where a door is reached: a section of the configuration."""

    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int: ...
    @property
    def certificate_file(self) -> Path | None: ...
    @property
    def key_file(self) -> Path | None: ...


class Server(Protocol):
    """What a door adds. `port` is the real one once it was started."""

    port: int

    async def start(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> None: ...
    async def close(self) -> None: ...


class DoorProcess:
    """What one process holds. Create it on the loop. Whoever inherits from it sets `server`."""

    server: Server

    def __init__(self, settings: Settings, name: str, bounds: ConnectionBounds) -> None:
        self.settings = settings
        self.name = name
        self.bounds = bounds
        options, kafka = settings.gateway or Gateway(), settings.kafka
        self.keys = ApiKeyring(read_first_keys(options.keys_file) if options.keys_file is not None else None)
        self.control = ControlState()
        self.producer = AckProducer(
            kafka.bootstrap_servers,
            kafka.security,
            loop=asyncio.get_running_loop(),
            on_fatal=lambda error: end_process("producer", error),
            bounds=BY_NAME[MetricName.GATEWAY_ACK_SECONDS].buckets,
        )
        self.writer = Writer(self.producer, kafka.partitions, options.ack_seconds)
        self.metrics = Metrics(Vocabulary(apps=settings.apps, topics=(topics.API_KEY,)))
        self.door = Door(self.keys)
        self.reporters, kept = Reporters(), settings.reports or Reports()
        self.fetcher = Fetcher(read_token(kept.token_file))
        places = self.reporters.urls, kafka.partitions, self.fetcher, now_ms, self.reporters.standbys
        self.reports = Coordinator(*places, goal_of(settings), kept.keep_days)
        self.calls: Calls = calls(settings, self.writer, self.control, sources_of(settings, self.reports), self.unready)
        self._delay = LoopDelay(asyncio.get_running_loop())
        self.metrics.add_source(self._delay)
        self.metrics.add_source(self._samples)
        self.page = private_page(settings, self.metrics, self._info, self.unready)

    def reload(self, settings: Settings) -> None:
        """Requests and connections that come from now on go by these."""
        options = settings.gateway or Gateway()
        self.writer.ack_seconds = options.ack_seconds
        self.bounds.change(options.max_connections, options.max_connections_per_address)
        self.calls.webhooks.change(settings.webhooks)
        for decoder in self.calls.decoders:
            decoder.change(class_rules(settings.classes))

    def tails(self) -> list[ControlTail]:
        """What it follows. They are started before it listens: it must know which keys are valid."""
        kafka = self.settings.kafka
        return [
            ControlTail(kafka.bootstrap_servers, kafka.security, state, fatal=end_process, topic=topic)
            for topic, state in (
                (topics.API_KEY, self.keys),
                (topics.CONTROL, self.control),
                (topics.WHERE, self.reporters),
            )
        ]

    def unready(self) -> list[str]:
        """Why requests would be refused, one sentence each."""
        found = []
        if (age := self.producer.oldest_seconds()) > 2.0:
            found.append(f"Kafka has not confirmed a record for {age:.0f} s")
        if (behind := boottime_seconds() - self.keys.current_at) > STALE_SECONDS:
            found.append(f"{topics.API_KEY} was last read {behind:.0f} s ago: revoked keys may still open")
        if self.writer.stopping:
            found.append("the process is stopping")
        return found

    def observe(self, route: str, status: int, seconds: float) -> None:
        """Counts a request that was answered."""
        self.metrics.count(MetricName.GATEWAY_REQUESTS, 1, (route, str(status)))
        self.metrics.observe(MetricName.GATEWAY_REQUEST_SECONDS, (seconds,), (route,))

    async def open(self) -> None:
        """What is there before it listens. Raises ConfigurationError."""

    async def close(self) -> None:
        """Answers what is in progress, then waits for Kafka."""
        self.writer.stopping = True
        await self.server.close()
        if left := await self.producer.close(CLOSE_SECONDS):
            log.warning("unconfirmed_at_stop", records=left)
        await self.fetcher.close()
        self._delay.close()
        await self.page.close()

    def _info(self) -> dict[str, Any]:
        return {"version": __version__, "name": self.name, "groups": [], "url": f"port {self.server.port}"}

    def _samples(self) -> Iterable[Sample]:
        yield Sample(MetricName.INFO, 1, (self.name, __version__))
        self.metrics.put_histogram(MetricName.GATEWAY_ACK_SECONDS, self.producer.waits, self.producer.waited_seconds)
        yield Sample(MetricName.GATEWAY_UNCONFIRMED, self.producer.unacknowledged)
        yield Sample(MetricName.GATEWAY_OLDEST_UNCONFIRMED, self.producer.oldest_seconds())
        yield Sample(MetricName.GATEWAY_CONNECTIONS_REFUSED, self.bounds.refused)
        yield Sample(MetricName.GATEWAY_KEYS, len(self.keys))
        for reason, count in self.keys.ignored.items():
            yield Sample(MetricName.GATEWAY_KEYS_IGNORED, count, (reason,))
        for policy, count in self.door.limited.items():
            yield Sample(MetricName.GATEWAY_LIMITED, count, (policy,))


def run_door(
    name: str, settings: Settings, listen: Listen, make: Callable[[], DoorProcess], ready_fd: int | None = None
) -> int:
    """Blocks until SIGTERM or SIGINT. Returns 0 after an orderly stop. `make` is called on the loop.

    Raises ConfigurationError and ControlUnreadable before it listens.
    """
    configure_logging(name, settings.observe.log_level, settings.observe.log_json)
    warn_without_broker(settings.kafka.bootstrap_servers)
    return uvloop.run(serve(settings, make, listen, ready_fd))


async def serve(
    settings: Settings, make: Callable[[], DoorProcess], listen: Listen, ready_fd: int | None = None
) -> int:
    """`run_door` on a loop."""
    await asyncio.to_thread(check_cluster, settings)
    process = make()
    tails = process.tails()
    stop = asyncio.Event()
    for tail in tails:
        await tail.start()
    # Not before: a topic is waited for, for up to a minute, and a stop meanwhile ends the process at once.
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    manager = ServiceManager.of(os.environ)
    reloader = Reloader(settings, [process])
    process.metrics.add_source(reloader.samples)
    beside = [asyncio.create_task(manager.keep_alive(list)), asyncio.create_task(reloader.run())]
    for task in beside:
        task.add_done_callback(watch)
    await process.page.start()
    where = whereabouts.Whereabouts(process.name, os.getpid(), settings.observe.host, process.page.port)
    path = whereabouts.write(settings.data_dir, where)
    try:
        await process.open()
        await process.server.start(listen.host, listen.port, tls_of(process.name, listen))
        collect_seldom()
        log.info("listening", host=listen.host, port=process.server.port, keys=len(process.keys))
        tell_supervisor(ready_fd)
        manager.tell(READY)
        await stop.wait()
    except OSError as error:
        raise ConfigurationError(f"{process.name}: {listen.host}:{listen.port}: {error.strerror}") from None
    finally:
        manager.tell(STOPPING)
        for task in beside:
            task.cancel()
        await process.close()
        for tail in tails:
            await tail.close()
        path.unlink(missing_ok=True)
    log.info("stopped", code=0)
    return 0


def tls_of(section: str, listen: Listen) -> ssl.SSLContext | None:
    """None: it is plain. Raises ConfigurationError."""
    if listen.certificate_file is None or listen.key_file is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(listen.certificate_file, listen.key_file)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(f"{section}.certificate_file: {listen.certificate_file}: {error}") from None
    return context


def now_ms() -> int:
    """The clock of a door."""
    return time.time_ns() // 1_000_000
