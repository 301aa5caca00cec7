"""A gateway among others: says where it is asked, knows where the others are."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from uuid import uuid4

import structlog

from pushcast.config.doors import Sharing
from pushcast.gateway.access import Door
from pushcast.gateway.lease_server import LeaseClient, LeaseServer
from pushcast.gateway.shared_quotas import SharedQuotas
from pushcast.kafka.acks import AckProducer
from pushcast.model.errors import ConfigurationError
from pushcast.model.urls import http_url
from pushcast.observe.catalogue import MetricName
from pushcast.observe.metrics import Sample
from pushcast.report.fetch import read_token
from pushcast.stream.errors import Full, OutboxFailed
from pushcast.transport.stage_tasks import watch
from pushcast.wire import topics
from pushcast.wire.control.gateways import SAY_SECONDS, GatewayPeer, GatewayPeers, encode, key_of

log = structlog.get_logger()


class GatewaySharing:
    """Of one process. Create it on the loop; `peers` follows `push.where.v1`."""

    def __init__(self, options: Sharing, door: Door, producer: AckProducer) -> None:
        """Raises ConfigurationError."""
        token = read_token(options.token_file, "gateway.sharing.token_file")
        self._options = options
        self._producer = producer
        self._instance = uuid4().hex
        self._server = LeaseServer(door, token)
        self._client = LeaseClient(token)
        self.peers = GatewayPeers(time.monotonic, _now_ms)
        self.quotas = SharedQuotas(door, self._instance, self.peers.home_of, self._client, time.monotonic, self._later)
        self._saying: asyncio.Task[None] | None = None
        self._waiting: set[asyncio.Task[None]] = set()  # for the end of a lease

    async def start(self) -> None:
        """Listens, and says so from now on. Raises ConfigurationError when the port is taken."""
        try:
            await self._server.start(self._options.host, self._options.port)
        except OSError as error:
            where = f"{self._options.host}:{self._options.port}"
            raise ConfigurationError(f"gateway.sharing: {where}: {error.strerror}") from None
        self._saying = asyncio.create_task(self._say())
        self._saying.add_done_callback(watch)

    async def close(self) -> None:
        """Says that it is gone, so that another one counts at once."""
        if self._saying is not None:
            self._saying.cancel()
            self._put(None)
        for task in self._waiting:
            task.cancel()
        await self._server.close()
        await self._client.close()

    def samples(self) -> Iterable[Sample]:
        """For a scrape."""
        yield Sample(MetricName.GATEWAY_UNSHARED, self.quotas.unshared)
        yield Sample(MetricName.GATEWAY_PEERS, len(self.peers.urls()))

    def _later(self, seconds: float, run: Callable[[], Awaitable[None]]) -> None:
        async def wait() -> None:
            await asyncio.sleep(seconds)
            await run()

        task = asyncio.create_task(wait())
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)

    async def _say(self) -> None:
        host = self._options.advertised_host or self._options.host
        while True:
            self._put(encode(GatewayPeer(http_url(host, self._server.port), _now_ms())))
            await asyncio.sleep(SAY_SECONDS)

    def _put(self, value: bytes | None) -> None:
        try:
            self._producer.put(topics.WHERE, 0, key_of(self._instance), value)
        except (Full, OutboxFailed) as error:
            log.warning("not_announced", error=str(error))


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
