"""New settings in a running process: on SIGHUP, or when the file's content has changed."""

from __future__ import annotations

import asyncio
import hashlib
import signal
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final, Protocol, runtime_checkable

import structlog

from pushcast.config.changes import compare
from pushcast.config.settings import Settings, config_file, load
from pushcast.model.clock import Clock, SystemClock
from pushcast.model.errors import ConfigurationError
from pushcast.observe.catalogue import MetricName as Name
from pushcast.observe.logs import set_level
from pushcast.observe.metrics import Sample

log = structlog.get_logger()

#: Between two looks at the file. Its content is compared: ConfigMaps are links, of which inotify sees nothing.
EVERY_SECONDS: Final = 5.0


@runtime_checkable
class Reloads(Protocol):
    """What works by settings that may change."""

    def reload(self, settings: Settings) -> None:
        """Works by these from now on. Must not raise: others have taken them already."""


class Reloader:
    """Keeps what is in force. A configuration with any fault changes nothing; it is read whole or not at all."""

    def __init__(
        self,
        settings: Settings,
        followers: Iterable[Reloads] = (),
        *,
        clock: Clock | None = None,
        file: Callable[[], Path | None] = config_file,
    ) -> None:
        self.settings = settings
        self.restart_needed: list[str] = []
        self._followers = list(followers)
        self._clock = clock or SystemClock()
        self._file = file
        self._hash = self._content()
        self._well = True
        self._read_at_ms = self._clock.now_ms()

    async def run(self, every_seconds: float = EVERY_SECONDS) -> None:
        """Until it is cancelled. Takes SIGHUP of the process."""
        loop = asyncio.get_running_loop()
        asked = asyncio.Event()
        loop.add_signal_handler(signal.SIGHUP, asked.set)
        try:
            while True:
                try:
                    async with asyncio.timeout(every_seconds):
                        await asked.wait()
                except TimeoutError:
                    if self._content() == self._hash:
                        continue
                asked.clear()
                self.reload()
        finally:
            loop.remove_signal_handler(signal.SIGHUP)

    def reload(self) -> None:
        """Reads the configuration and takes what may be taken; the log says what was, and what needs a restart."""
        self._hash = self._content()
        try:
            found = compare(self.settings, load())
        except ConfigurationError as error:
            self._well = False
            log.error("configuration_not_reloaded", problem=str(error))  # noqa: TRY400 - a sentence, no traceback
            return
        self._well = True
        self._read_at_ms = self._clock.now_ms()
        self.settings = found.settings
        self.restart_needed = found.restart_needed
        if found.taken:
            set_level(found.settings.observe.log_level)
            for follower in self._followers:
                follower.reload(found.settings)
            log.info("configuration_reloaded", taken=found.taken)
        if found.restart_needed:
            log.warning("configuration_needs_restart", restart_needed=found.restart_needed)

    def samples(self) -> Iterable[Sample]:
        """For `Metrics.add_source`."""
        yield Sample(Name.CONFIG_RELOADED, self._well)
        yield Sample(Name.CONFIG_READ_AT, self._read_at_ms / 1000)
        yield Sample(Name.CONFIG_RESTART_NEEDED, len(self.restart_needed))

    def _content(self) -> bytes | None:
        """A file that cannot be read differs from every other: what is wrong with it is told by `load`."""
        file = self._file()
        if file is None:
            return None
        try:
            return hashlib.blake2b(file.read_bytes()).digest()
        except OSError as error:
            return str(error).encode()
