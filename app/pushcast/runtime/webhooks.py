"""The webhooks of a reporter process: an endpoint each, what operators said of them, and how they stand."""

from __future__ import annotations

import asyncio
import os
import random
import socket
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, Final

import httpx
import structlog

from pushcast.config.doors import Webhook
from pushcast.config.settings import Settings
from pushcast.kafka.acks import AckProducer
from pushcast.kafka.clients import client_config
from pushcast.kafka.control import ControlTail
from pushcast.model.errors import ConfigurationError
from pushcast.observe.catalogue import MetricName
from pushcast.observe.metrics import Sample
from pushcast.stream.errors import Full, OutboxFailed
from pushcast.stream.fatal import end_process
from pushcast.webhook.endpoint import GroupMembership, Ports, WebhookEndpoint
from pushcast.webhook.guard import GuardedTransport
from pushcast.wire import topics
from pushcast.wire.control.control import Kind, Name, WebhookOrder, encode
from pushcast.wire.control.control_state import ControlState

log = structlog.get_logger()

MAX_CONNECTIONS: Final = 2


def way_out() -> httpx.AsyncBaseTransport:
    """To public addresses alone."""
    limits = httpx.Limits(max_connections=MAX_CONNECTIONS, max_keepalive_connections=1)
    return GuardedTransport(httpx.AsyncHTTPTransport(limits=limits, trust_env=False))


class Webhooks:
    """Create it on the loop. `slot`: stable name of the process. `transport` makes the way out of each endpoint."""

    def __init__(
        self,
        settings: Settings,
        producer: AckProducer,
        slot: str | None,
        transport: Callable[[], httpx.AsyncBaseTransport] = way_out,
    ) -> None:
        """Raises ConfigurationError for a file of secrets that cannot be used."""
        kafka = settings.kafka
        self._loop = asyncio.get_running_loop()
        self._producer = producer
        self._client = client_config(kafka.bootstrap_servers, kafka.security)
        self._member = GroupMembership(slot, kafka.session_timeout_seconds)
        self._transport = transport
        self._control = ControlState()
        self._tail = ControlTail(kafka.bootstrap_servers, kafka.security, self._control, fatal=end_process)
        self._follows = False  # which endpoints are disabled
        self._turn = asyncio.Lock()  # of changes
        self.endpoints = [self._made(name, wanted) for name, wanted in settings.webhooks.items()]

    def _made(self, name: str, wanted: Webhook) -> WebhookEndpoint:
        order, give_up = partial(self._control.webhooks.get, name), partial(self._give_up, name)
        ports = Ports(order, give_up, self._transport, random.uniform, end_process)
        return WebhookEndpoint(name, wanted, self._client, self._member, ports)

    async def start(self) -> None:
        """Returns when it is known which endpoints are disabled. Raises ControlUnreadable."""
        async with self._turn:
            await self._start(self.endpoints)

    async def _start(self, endpoints: Iterable[WebhookEndpoint]) -> None:
        for each in endpoints:
            if not self._follows:
                await self._tail.start()
                self._follows = True
            each.start()

    async def change(self, wanted: Mapping[str, Webhook]) -> None:
        """New endpoints begin, others end, and one that is to be another begins again where it stood. One whose secrets
        cannot be used stays as it was, and the log says why. Raises ControlUnreadable."""
        async with self._turn:
            kept, made, gone = list[WebhookEndpoint](), list[WebhookEndpoint](), list[WebhookEndpoint]()
            now = {each.name: each for each in self.endpoints}
            for name, one in wanted.items():
                before = now.pop(name, None)
                if before is not None and before.wanted == one:
                    kept.append(before)
                    continue
                try:
                    made.append(self._made(name, one))
                    gone += [] if before is None else [before]
                except ConfigurationError as error:
                    log.error("webhook_not_changed", webhook=name, problem=str(error))  # noqa: TRY400 - a sentence
                    kept += [] if before is None else [before]
            gone += now.values()
            await self._end(gone)
            self.endpoints = kept + made
            await self._start(made)

    async def close(self) -> None:
        """Waits for requests that are under way."""
        async with self._turn:
            await self._end(self.endpoints)
            await self._tail.close()

    async def _end(self, endpoints: Iterable[WebhookEndpoint]) -> None:
        await asyncio.gather(*(asyncio.to_thread(each.close) for each in endpoints if each.started))

    def info(self) -> dict[str, Any]:
        """How each stands, for people."""
        return {
            each.name: {"disabled": each.disabled, "lag": each.spots.lag, "failures": each.failures}
            for each in self.endpoints
        }

    def samples(self) -> Iterable[Sample]:
        """For a scrape."""
        for each in self.endpoints:
            yield Sample(MetricName.WEBHOOK_LAG, each.spots.lag, (each.name,))
            yield Sample(MetricName.WEBHOOK_AGE, each.age_seconds(time.time()), (each.name,))
            yield Sample(MetricName.WEBHOOK_DISABLED, each.disabled, (each.name,))
            yield Sample(MetricName.WEBHOOK_LOST, each.spots.lost, (each.name,))
            for result, count in list(each.results.items()):
                yield Sample(MetricName.WEBHOOK_REQUESTS, count, (each.name, result))
            for reason, count in list(each.reader.unreadable.items()):
                yield Sample(MetricName.WEBHOOK_UNREADABLE, count, (each.name, reason))

    def _give_up(self, name: str, reason: str) -> None:
        by = f"reporter {os.getpid()}@{socket.gethostname()}"[:500]
        order = WebhookOrder("disabled", time.time_ns() // 1_000_000, None, reason, by)
        self._loop.call_soon_threadsafe(self._say, name, order)

    def _say(self, name: str, order: WebhookOrder) -> None:
        try:
            self._producer.put(topics.CONTROL, 0, Name(Kind.WEBHOOK, name).key(), encode(order))
        except (Full, OutboxFailed) as error:
            # It stays disabled in this process, and the next try of another one says it again.
            log.warning("webhook_disabled_unsaid", webhook=name, error=str(error))
