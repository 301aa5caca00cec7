"""What a simulator is made from, whatever the platform."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from random import Random
from typing import Any

from pushcast.simulators.apps import AppSpec
from pushcast.simulators.certificates import Identity, identity, server_context
from pushcast.simulators.clock import SimulatorClock
from pushcast.simulators.control import ControlServer
from pushcast.simulators.http1 import choose_by_alpn
from pushcast.simulators.listener import Listener
from pushcast.simulators.provider import Provider
from pushcast.simulators.recorder import Recorder
from pushcast.simulators.simulator import Simulator


@dataclass(frozen=True, kw_only=True)
class Plan:
    """As `pushcast.simulators.start` has them. Clock and randomness are the simulator's own, the latter from its seed.

    Builders draw from `random` in a fixed order: the ids of keys follow from the seed.
    """

    host: str
    port: int
    control_port: int
    seed: int
    checks: bool
    work_dir: Path
    apps: Sequence[AppSpec]
    recorder: Recorder

    @cached_property
    def clock(self) -> SimulatorClock:
        return SimulatorClock()

    @cached_property
    def random(self) -> Random:
        return Random(self.seed)

    @cached_property
    def identity(self) -> Identity:
        """CA and server certificate, kept in `work_dir`."""
        return identity(self.work_dir)

    def shown(self, apps: dict[str, dict[str, Any]], **more: Any) -> dict[str, Any]:
        """The credentials of the first app beside those of all by name."""
        return {**apps[self.apps[0].name], **more, "apps": apps}

    def simulator(
        self,
        provider: Provider,
        credentials: Callable[[str], dict[str, Any]],
        *,
        context: ssl.SSLContext | None = None,
        choose: Callable[[str | None], asyncio.Protocol] | None = None,
    ) -> Simulator:
        """`credentials` gets the URL, once the port is known. Without more it speaks HTTP/2 and HTTP/1.1, as ALPN says;
        `choose` gets what ALPN agreed on."""
        context = context or server_context(self.identity, alpn=["h2", "http/1.1"])
        return Simulator(
            provider,
            Listener(self.host, self.port, context, choose or choose_by_alpn(provider)),
            ControlServer(self.host, self.control_port),
            ca_file=self.identity.ca_file,
            work_dir=self.work_dir,
            credentials=credentials,
        )
