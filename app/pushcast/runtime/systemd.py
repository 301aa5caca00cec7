"""What systemd wants to hear of a service with `Type=notify`: sd_notify(3) is one datagram a message."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, MutableMapping, Sequence
from typing import Final, Self

import structlog

log = structlog.get_logger()

READY: Final = "READY=1"
STOPPING: Final = "STOPPING=1"
ALIVE: Final = "WATCHDOG=1"
#: Messages within the time after which systemd kills a silent service.
PER_WATCHDOG: Final = 3


class ServiceManager:
    """Tells systemd; without one it tells nobody."""

    def __init__(self, address: str | None, watchdog_seconds: float | None) -> None:
        self._address = address
        self.every_seconds = None if watchdog_seconds is None else watchdog_seconds / PER_WATCHDOG

    @classmethod
    def of(cls, environment: MutableMapping[str, str]) -> Self:
        """Takes its variables out of the environment: systemd hears the service's first process alone."""
        address = environment.pop("NOTIFY_SOCKET", None)
        microseconds = environment.pop("WATCHDOG_USEC", None)
        environment.pop("WATCHDOG_PID", None)
        watched = address is not None and microseconds is not None and microseconds.isdecimal()
        return cls(address, int(microseconds or 0) / 1e6 if watched else None)

    def tell(self, message: str) -> None:
        """Sends it. A manager that does not listen is told of in the log: nothing of ours depends on it."""
        if self._address is None:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            try:
                sender.sendto(message.encode(), address)
            except OSError as error:
                log.warning("service_manager_not_told", message=message, problem=str(error))

    async def keep_alive(self, problems: Callable[[], Sequence[str]]) -> None:
        """Until it is cancelled; says nothing while there are `problems`, so that systemd restarts the service."""
        if self.every_seconds is None:
            return
        while True:
            if not problems():
                self.tell(ALIVE)
            await asyncio.sleep(self.every_seconds)
