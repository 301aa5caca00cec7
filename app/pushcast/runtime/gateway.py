"""The process of role `gateway`: the HTTP door."""

from __future__ import annotations

from typing import Final

from pushcast.config.doors import Gateway
from pushcast.config.settings import Settings
from pushcast.gateway.connections import ConnectionBounds
from pushcast.gateway.cors import Cors
from pushcast.gateway.server import GatewayServer
from pushcast.gateway.user_tokens import UserTokens, read_keys
from pushcast.kafka.control import ControlTail
from pushcast.observe.request_spans import passed_on, request_spans_of
from pushcast.observe.tracing import tracer
from pushcast.runtime.door import DoorProcess, run_door
from pushcast.runtime.gateway_sharing import GatewaySharing
from pushcast.stream.fatal import end_process
from pushcast.wire import topics

NAME: Final = "gateway"


def run_gateway(settings: Settings, ready_fd: int | None = None) -> int:
    """Blocks until SIGTERM or SIGINT. Returns 0 after an orderly stop. `ready_fd`: as `ProcessPlan` has it.

    Raises ConfigurationError and ControlUnreadable before it listens.
    """
    options = settings.gateway or Gateway()
    return run_door(NAME, settings, options, lambda: GatewayProcess(settings, options), ready_fd)


class GatewayProcess(DoorProcess):
    """A door with the HTTP API."""

    server: GatewayServer

    def __init__(self, settings: Settings, options: Gateway) -> None:
        super().__init__(settings, NAME, ConnectionBounds(options.max_connections, options.max_connections_per_address))
        self._sharing = None if options.sharing is None else GatewaySharing(options.sharing, self.door, self.producer)
        if self._sharing is not None:
            self.metrics.add_source(self._sharing.samples)
        self.server = GatewayServer(
            self.calls.keyed,
            self.calls.open,
            self.door,
            UserTokens(read_keys({app: each.jwks_file for app, each in options.identity.items()})),
            self.calls.anonymous,
            request_seconds=options.request_seconds,
            observe=self.observe,
            bounds=self.bounds,
            begin_span=request_spans_of(tracer()) if settings.observe.tracing else passed_on,
            quotas=None if self._sharing is None else self._sharing.quotas,
            cors=Cors(options.cors_origins),
        )

    def reload(self, settings: Settings) -> None:
        """As every door; and which pages may call it, and how slowly a request may come."""
        super().reload(settings)
        options = settings.gateway or Gateway()
        self.server.cors = Cors(options.cors_origins)
        self.server.take_within(options.request_seconds)

    def tails(self) -> list[ControlTail]:
        """Also the other gateways."""
        found, kafka = super().tails(), self.settings.kafka
        if self._sharing is not None:
            followed = self._sharing.peers
            found.append(
                ControlTail(kafka.bootstrap_servers, kafka.security, followed, fatal=end_process, topic=topics.WHERE)
            )
        return found

    async def open(self) -> None:
        """Other gateways may ask."""
        if self._sharing is not None:
            await self._sharing.start()

    async def close(self) -> None:
        """Says that it goes, then as every door."""
        if self._sharing is not None:
            await self._sharing.close()
        await super().close()
