"""The flood's writer as a process of its own that yields: who writes a campaign takes no core of Pushcast's machines,
and none from the thread that writes urgent events."""

from __future__ import annotations

import multiprocessing
import os
from multiprocessing.context import SpawnProcess
from multiprocessing.synchronize import Event
from types import TracebackType
from typing import Final, Protocol

from pushcast.config.settings import load
from pushcast.demo.load import make_devices, make_flood, urgent_count
from pushcast.demo.notify import flood
from pushcast.demo.produce import Progress
from pushcast.model.errors import PushcastError
from pushcast.runtime.child import end_with_parent
from pushcast.runtime.priority import stand_apart

POLL_SECONDS: Final = 0.2
STEP: Final = "notifications written"


class _Number(Protocol):
    """An integer that two processes share."""

    value: int


class Flooding:
    """Writes the flood of so many notifications for so many devices. A context manager; on exit the process ends.

    The process is there, with all it needs, before `write`. It is a fresh interpreter: this one may have threads.
    """

    def __init__(self, devices: int, notifications: int, seed: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._count = notifications - urgent_count(notifications)
        self._go = context.Event()
        self._written: _Number = context.Value("Q", lock=False)
        self._process: SpawnProcess = context.Process(
            target=_write,
            args=(devices, notifications, seed, self._go, self._written, os.getpid()),
            name="flood",
            daemon=True,
        )

    def __enter__(self) -> Flooding:
        self._process.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.join()

    def write(self, progress: Progress) -> None:
        """Returns when Kafka has all. Raises PushcastError when the process ends before."""
        self._go.set()
        while self._process.is_alive():
            progress(STEP, self._written.value, self._count)
            self._process.join(POLL_SECONDS)
        if self._process.exitcode or self._written.value != self._count:
            raise PushcastError(
                f"the flood's writer ended with {self._process.exitcode} after {self._written.value} of {self._count}"
                " notifications"
            )
        progress(STEP, self._count, self._count)


def _write(devices: int, notifications: int, seed: int, go: Event, written: _Number, parent: int) -> None:
    end_with_parent(parent)
    settings = load()
    stand_apart(settings.niceness.bulk)
    notes = make_flood(notifications, make_devices(devices, seed), seed)
    count = notifications - urgent_count(notifications)
    go.wait()

    def progress(_: str, done: int, __: int) -> None:
        written.value = done

    flood(settings, notes, count, progress)
