"""The process of role `gateway`: the HTTP door, the keys and pauses that it follows, and its private page."""

from __future__ import annotations

import asyncio
import os
import signal
import ssl
import time
from collections.abc import Iterable
from itertools import islice
from typing import Any, Final

import structlog
import uvloop

from pushcast import __version__
from pushcast.audit.why import why
from pushcast.config.settings import Gateway, Reports, Settings
from pushcast.gateway.access import Door
from pushcast.gateway.build import calls
from pushcast.gateway.connections import Bounds
from pushcast.gateway.keyring import Keyring, read_first_keys
from pushcast.gateway.questions import Sources
from pushcast.gateway.server import GatewayServer
from pushcast.gateway.user_tokens import UserTokens, read_keys
from pushcast.gateway.writing import Writer
from pushcast.kafka.acks import AckProducer
from pushcast.kafka.control import ControlTail
from pushcast.kafka.intake import rows_of_user
from pushcast.kafka.reach import warn_without_broker
from pushcast.kafka.topics.facts import check_cluster
from pushcast.model.errors import ConfigurationError
from pushcast.observe import sources
from pushcast.observe.catalogue import MetricName
from pushcast.observe.health import HealthServer
from pushcast.observe.logs import configure_logging
from pushcast.observe.metrics import Metrics, Sample
from pushcast.observe.vocabulary import Vocabulary
from pushcast.report.coordinator import Coordinator
from pushcast.report.fetch import Fetcher, read_token
from pushcast.runtime import whereabouts
from pushcast.settle.letters import Filter
from pushcast.settle.redrive import DeadLetters
from pushcast.settle.shown import described
from pushcast.stream.assignment import boottime_seconds
from pushcast.stream.fatal import end_process
from pushcast.wire import topics
from pushcast.wire.control_state import ControlState
from pushcast.wire.devices import shown
from pushcast.wire.reporters import Reporters

log = structlog.get_logger()

NAME: Final = "gateway"
#: A view of the keys that is older than this is not to be trusted: a revoked key might still open.
STALE_SECONDS: Final = 10.0
CLOSE_SECONDS: Final = 8.0


def run_gateway(settings: Settings) -> int:
    """Blocks until SIGTERM or SIGINT. Returns 0 after an orderly stop.

    Raises ConfigurationError and ControlUnreadable before it listens.
    """
    configure_logging(NAME, settings.observe.log_level, settings.observe.log_json)
    warn_without_broker(settings.kafka.bootstrap_servers)
    return uvloop.run(_run(settings, settings.gateway or Gateway()))


class Process:
    """What one gateway holds. Create it on the loop."""

    def __init__(self, settings: Settings, options: Gateway) -> None:
        self._settings = settings
        kafka = settings.kafka
        self.keys = Keyring(read_first_keys(options.keys_file) if options.keys_file is not None else None)
        self.control = ControlState()
        self.producer = AckProducer(
            kafka.bootstrap_servers,
            kafka.security,
            loop=asyncio.get_running_loop(),
            on_fatal=lambda error: end_process("producer", error),
        )
        self.writer = Writer(self.producer, kafka.partitions, options.ack_seconds)
        self.metrics = Metrics(Vocabulary(apps=settings.apps, topics=(topics.API_KEY,)))
        self.door = Door(self.keys)
        bounds = Bounds(options.max_connections, options.max_connections_per_address)
        self.reporters = Reporters()
        self.fetcher = Fetcher(read_token((settings.reports or Reports()).token_file))
        reports = Coordinator(self.reporters.urls, kafka.partitions, self.fetcher, _now_ms)
        found = calls(settings, self.writer, self.control, _sources(settings, reports), self.unready)
        self.server = GatewayServer(
            found.keyed, found.open, self.door,
            UserTokens(read_keys({app: each.jwks_file for app, each in options.identity.items()})),
            request_seconds=options.request_seconds, observe=self._observe, bounds=bounds,
        )  # fmt: skip
        self._delay = sources.LoopDelay(asyncio.get_running_loop())
        self.metrics.add_source(self._delay)
        self.metrics.add_source(self._samples)
        self.page = HealthServer(
            metrics=self.metrics.exposition,
            info=self._info,
            live=list,
            ready=self.unready,
            host=settings.observe.host,
            port=settings.observe.port,
        )

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

    async def close(self) -> None:
        """Answers what is in progress, then waits for Kafka."""
        self.writer.stopping = True
        await self.server.close()
        if left := await self.producer.close(CLOSE_SECONDS):
            log.warning("unconfirmed_at_stop", records=left)
        await self.fetcher.close()
        self._delay.close()
        await self.page.close()

    def _observe(self, route: str, status: int, seconds: float) -> None:
        self.metrics.count(MetricName.GATEWAY_REQUESTS, 1, (route, str(status)))
        self.metrics.observe(MetricName.GATEWAY_REQUEST_SECONDS, (seconds,), (route,))

    def _info(self) -> dict[str, Any]:
        return {"version": __version__, "name": NAME, "groups": [], "url": f"port {self.server.port}"}

    def _samples(self) -> Iterable[Sample]:
        yield Sample(MetricName.INFO, 1, (NAME, __version__))
        yield Sample(MetricName.GATEWAY_UNCONFIRMED, self.producer.unacknowledged)
        yield Sample(MetricName.GATEWAY_OLDEST_UNCONFIRMED, self.producer.oldest_seconds())
        yield Sample(MetricName.GATEWAY_CONNECTIONS_REFUSED, self.server.bounds.refused)
        yield Sample(MetricName.GATEWAY_KEYS, len(self.keys))
        for reason, count in self.keys.ignored.items():
            yield Sample(MetricName.GATEWAY_KEYS_IGNORED, count, (reason,))
        for policy, count in self.door.limited.items():
            yield Sample(MetricName.GATEWAY_LIMITED, count, (policy,))


async def _run(settings: Settings, options: Gateway) -> int:
    await asyncio.to_thread(check_cluster, settings)
    process = Process(settings, options)
    kafka = settings.kafka
    tails = [
        ControlTail(kafka.bootstrap_servers, kafka.security, process.keys, fatal=end_process, topic=topics.API_KEY),
        ControlTail(kafka.bootstrap_servers, kafka.security, process.control, fatal=end_process),
        ControlTail(kafka.bootstrap_servers, kafka.security, process.reporters, fatal=end_process, topic=topics.WHERE),
    ]
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    for tail in tails:
        await tail.start()  # before it listens: it must know which keys are valid
    await process.page.start()
    where = whereabouts.Whereabouts(NAME, os.getpid(), settings.observe.host, process.page.port)
    path = whereabouts.write(settings.data_dir, where)
    try:
        await process.server.start(options.host, options.port, _tls(options))
        log.info("listening", host=options.host, port=process.server.port, keys=len(process.keys))
        await stop.wait()
    except OSError as error:
        raise ConfigurationError(f"gateway: {options.host}:{options.port}: {error.strerror}") from None
    finally:
        await process.close()
        for tail in tails:
            await tail.close()
        path.unlink(missing_ok=True)
    log.info("stopped", code=0)
    return 0


def _tls(options: Gateway) -> ssl.SSLContext | None:
    if options.certificate_file is None or options.key_file is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(options.certificate_file, options.key_file)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(f"gateway.certificate_file: {options.certificate_file}: {error}") from None
    return context


def _sources(settings: Settings, reports: Coordinator) -> Sources:
    def devices(user: str) -> list[dict[str, Any]]:
        return [shown(row) for row in rows_of_user(settings, user)]

    def letters(limit: int) -> list[dict[str, Any]]:
        with DeadLetters(settings) as dead:
            return [described(letter) for letter in islice(dead.letters(Filter()), limit)]

    return Sources(lambda user, note, device: why(settings, user, note, device), devices, letters, reports)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
