"""The process of role `console`: a door with pages for people."""

from __future__ import annotations

import asyncio
import os
import secrets
from pathlib import Path
from typing import Any, Final

from pushcast.audit.device_history import history_of
from pushcast.config.doors import Console
from pushcast.config.settings import Settings
from pushcast.console.api import Api
from pushcast.console.build import pages
from pushcast.console.deeds import Deeds
from pushcast.console.desk import Desk
from pushcast.console.preview import Previews
from pushcast.console.proxy import TrustedProxy
from pushcast.console.server import ConsoleServer
from pushcast.console.session import Sessions
from pushcast.console.watch import Process, Watch
from pushcast.gateway.connections import ConnectionBounds
from pushcast.inner.client import InnerClient
from pushcast.kafka.control import ControlTail
from pushcast.model.errors import ConfigurationError
from pushcast.runtime import whereabouts
from pushcast.runtime.door import DoorProcess, now_ms, run_door
from pushcast.runtime.standing import standing
from pushcast.stream.fatal import end_process
from pushcast.transport.stage_tasks import watch
from pushcast.wire import topics
from pushcast.wire.control.actions import Actions

NAME: Final = "console"
#: Browsers open six connections each, and a stream takes one.
MAX_CONNECTIONS: Final = 1024
REQUEST_SECONDS: Final = 10.0
MIN_SECRET_BYTES: Final = 32
SECRET: Final = "console.secret"  # noqa: S105 - a file's name


def run_console(settings: Settings, ready_fd: int | None = None) -> int:
    """Blocks until SIGTERM or SIGINT. Returns 0 after an orderly stop. `ready_fd`: as `ProcessPlan` has it.

    Raises ConfigurationError and ControlUnreadable before it listens.
    """
    options = settings.console or Console()
    return run_door(NAME, settings, options, lambda: ConsoleProcess(settings, options), ready_fd)


class ConsoleProcess(DoorProcess):
    """A door with pages, the actions that it follows, and a watch over the other processes."""

    def __init__(self, settings: Settings, options: Console) -> None:
        super().__init__(settings, NAME, ConnectionBounds(MAX_CONNECTIONS, MAX_CONNECTIONS))
        self._options = options
        self._one_story = asyncio.Semaphore(1)  # it may read every partition
        self.actions = Actions()
        self._client = InnerClient()
        self._watch = Watch(self._processes, self._fetch, self._standing, now_ms)
        self._watching = asyncio.create_task(self._watch.run())
        self._watching.add_done_callback(watch)
        desk = Desk(
            Api(self.calls.keyed, now_ms),
            self._watch,
            Previews(settings),
            self.control,
            self._story,
            self.keys,
            self.actions,
            {name: tuple(app.platforms()) for name, app in settings.apps.items()},
            {name: rule.lane for name, rule in settings.classes.items()},
            settings.kafka.partitions,
            options.trace_url,
        )
        self.server = ConsoleServer(
            pages(desk),
            self.door,
            Sessions(read_secret(options.secret_file, settings.data_dir), options.session_seconds),
            Deeds(self.writer, now_ms),
            proxy=_proxy(options),
            secure=options.certificate_file is not None or options.behind_tls,
            request_seconds=REQUEST_SECONDS,
            observe=self.observe,
            bounds=self.bounds,
        )

    def tails(self) -> list[ControlTail]:
        """Those of every door, and the actions."""
        kafka = self.settings.kafka
        actions = ControlTail(
            kafka.bootstrap_servers, kafka.security, self.actions, fatal=end_process, topic=topics.ACTION
        )
        return [*super().tails(), actions]

    async def close(self) -> None:
        """Ends the streams first."""
        self._watching.cancel()
        await super().close()
        await self._client.close()

    def _processes(self) -> list[Process]:
        here = [
            Process(each.name, each.url, f"{each.name}:{each.pid}")
            for each in whereabouts.read_all(self.settings.data_dir)
        ]
        return [*here, *(Process(place, f"http://{place}", place) for place in self._options.processes)]

    async def _fetch(self, url: str) -> tuple[int, bytes]:
        return await self._client.get(url)

    async def _story(self, device: str, user: str | None) -> dict[str, Any]:
        async with self._one_story:
            found = await asyncio.to_thread(history_of, self.settings, device, user=user)
        return found.to_dict()

    async def _standing(self) -> dict[str, Any]:
        return await asyncio.to_thread(standing, self.settings)


def _proxy(options: Console) -> TrustedProxy | None:
    if options.trusted_header is None or options.trusted_key is None:
        return None
    return TrustedProxy(options.trusted_header, options.trusted_addresses, options.trusted_key)


def read_secret(file: Path | None, data_dir: Path) -> bytes:
    """What signs cookies: of the file, or one that is made once and kept in `data_dir`, so that a restart signs nobody
    out. Raises ConfigurationError."""
    place = file or data_dir / SECRET
    try:
        if file is None and not place.exists():
            data_dir.mkdir(parents=True, exist_ok=True)
            made = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(made, "wb") as opened:
                opened.write(secrets.token_bytes(MIN_SECRET_BYTES))
        found = place.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"console.secret_file: {place}: {error.strerror}") from None
    if len(found) < MIN_SECRET_BYTES:
        raise ConfigurationError(f"console.secret_file: {place} has {len(found)} bytes; at least {MIN_SECRET_BYTES}")
    return found
