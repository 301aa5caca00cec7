"""`pushcast run all`: one process per role and lane; one that dies is started again, all stop together.

It has neither a loop nor threads, because its children are forked from it: what it has imported they share, which is
more than half of an idle role's memory (docs/decisions/0016-roles-are-forked.md).
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing.connection import wait
from typing import Final, Protocol

import structlog

from pushcast.config.settings import Settings, load
from pushcast.kafka.reach import warn_without_broker
from pushcast.model.errors import ConfigurationError
from pushcast.observe.logs import configure_logging
from pushcast.runtime import preflight
from pushcast.runtime.forked import Forker
from pushcast.runtime.layout import ProcessPlan
from pushcast.runtime.systemd import ALIVE, READY, STOPPING, ServiceManager
from pushcast.stream.errors import Flooded
from pushcast.transport.folders import FolderLocks

log = structlog.get_logger()

SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
STOP_SECONDS: Final = 30.0  # a role's own quiesce bound is half the rebalance timeout: 15 s
USAGE_EXIT: Final = 2
FIRST_DELAY_SECONDS: Final = 0.5
LONGEST_DELAY_SECONDS: Final = 15.0
HEALTHY_AFTER_SECONDS: Final = 30.0
_READ_BYTES: Final = 4096  # a pipe gives whole lines of this size and less: pipe(7), PIPE_BUF


class Child(Protocol):
    """What it needs of a `multiprocessing.Process`."""

    @property
    def pid(self) -> int | None: ...
    @property
    def sentinel(self) -> int:
        """A descriptor that is readable when the process has ended."""

    @property
    def exitcode(self) -> int | None: ...
    def terminate(self) -> None: ...
    def kill(self) -> None: ...
    def join(self, timeout: float | None = None) -> None: ...


@dataclass(slots=True)
class KeptProcess:
    """A planned process, and when it is started next."""

    plan: ProcessPlan
    child: Child | None = None
    started_at_seconds: float = 0.0
    delay_seconds: float = FIRST_DELAY_SECONDS
    due_at_seconds: float = 0.0
    ready: bool = False
    was_ready: bool = False  # in this life or an earlier one

    def ended(self, code: int | None, now_seconds: float) -> float:
        """It has died: returns after how long it is started again. Longer each time, until it has lived for a while."""
        self.child = None
        self.ready = False
        if code in (Flooded.exit_code, USAGE_EXIT):
            self.delay_seconds = LONGEST_DELAY_SECONDS  # it stops again until its input, or its file, is better
        elif now_seconds - self.started_at_seconds > HEALTHY_AFTER_SECONDS:
            self.delay_seconds = FIRST_DELAY_SECONDS
        delay = self.delay_seconds
        self.due_at_seconds = now_seconds + delay
        self.delay_seconds = min(delay * 2, LONGEST_DELAY_SECONDS)
        return delay


def supervise(settings: Settings, plans: Sequence[ProcessPlan], again: Callable[[], Settings] = load) -> int:
    """Blocks until SIGTERM or SIGINT. Returns 0, or 2 when a role refuses its configuration at the first start, or has
    another's slot.
    Each start of a role takes the settings that `again` gives.

    Raises ConfigurationError with everything that the roles would refuse, before any of them starts, and SlotTaken when
    another supervisor works in this data directory: its roles have the same slots.
    """
    if settings.observe.port and len(plans) > 1:  # as the image sets it, for a process in each container
        port, count = settings.observe.port, len(plans)
        raise ConfigurationError(
            f"observe.port: {port} is one port, and `run all` starts {count} processes, each with a page of its own: "
            "set it to 0 (PUSHCAST_OBSERVE__PORT=0); the files in data_dir/run say where each listens"
        )
    manager = ServiceManager.of(os.environ)
    configure_logging("supervisor", settings.observe.log_level, settings.observe.log_json)
    preflight.require(settings)
    warn_without_broker(settings.kafka.bootstrap_servers)
    # A role that is started again is as old as the others: of two supervisors all roles of one are older.
    since_ms = time.time_ns() // 1_000_000
    locks = FolderLocks([settings.data_dir / "run"])
    try:
        with _stop_signals() as stop, _pipe() as (ready, told):
            plans = [replace(plan, since_ms=since_ms, ready_fd=told) for plan in plans]
            # A role that outlives a killed supervisor must not keep its lock.
            return Supervisor(plans, Forker(locks.close, again).start, stop, ready, manager).run()
    finally:
        locks.close()


class Supervisor:
    """Keeps the planned processes alive until the descriptor `stop` is readable."""

    def __init__(
        self,
        plans: Sequence[ProcessPlan],
        start: Callable[[ProcessPlan], Child],
        stop: int,
        ready: int | None = None,
        manager: ServiceManager | None = None,
    ) -> None:
        """`ready`: gives the ids of processes that have become ready, a line each; it does not block."""
        self._kept = [KeptProcess(plan) for plan in plans]
        self._start = start
        self._stop = stop
        self._ready = ready
        self._manager = manager or ServiceManager(None, None)
        self._began = time.monotonic()

    def run(self) -> int:
        """Returns when every process has ended, after a stop or because one refuses its configuration."""
        refused = False
        try:
            while not refused:
                self._start_what_is_due()
                readable = self._wait()
                if self._manager.every_seconds is not None:
                    self._manager.tell(ALIVE)
                if self._stop in readable:
                    if not self._hangup():
                        break
                    self._pass_on()
                if self._ready in readable:
                    self._hear()
                refused = self._bury() == USAGE_EXIT
        finally:
            # Also when this loop fails: the end of Python would wait for children that nobody supervises any more.
            self._stop_all()
        return USAGE_EXIT if refused else 0

    def _hangup(self) -> bool:
        """Takes the signals that have come; True when all of them ask for a reload."""
        return set(os.read(self._stop, _READ_BYTES)) == {signal.SIGHUP}

    def _pass_on(self) -> None:
        for kept in self._kept:
            # One that is not ready yet has just read the configuration, and may not know the signal yet.
            if kept.child is not None and kept.child.pid is not None and kept.ready:
                os.kill(kept.child.pid, signal.SIGHUP)

    def _start_what_is_due(self) -> None:
        now = time.monotonic()
        for kept in self._kept:
            if kept.child is None and kept.due_at_seconds <= now:
                kept.started_at_seconds = now
                try:
                    kept.child = self._start(kept.plan)
                except OSError as error:  # fork(2): no memory, or too many processes. The others go on.
                    again = kept.ended(None, now)
                    log.error("role_not_started", process=kept.plan.name, problem=str(error), again_in_seconds=again)  # noqa: TRY400 - a sentence
                    continue
                log.debug("role_started", process=kept.plan.name, child_pid=kept.child.pid)

    def _wait(self) -> list[int]:
        """Descriptors that are readable: of a child that has ended, or of the stop. None when a start is due."""
        now = time.monotonic()
        due = [kept.due_at_seconds - now for kept in self._kept if kept.child is None]
        if self._manager.every_seconds is not None:
            due.append(self._manager.every_seconds)
        children = [kept.child.sentinel for kept in self._kept if kept.child is not None]
        watched = [self._stop, *children, *([] if self._ready is None else [self._ready])]
        return [each for each in wait(watched, max(0.0, min(due)) if due else None) if type(each) is int]

    def _hear(self) -> None:
        """Says once that everything is ready, and again when a process that had ended is."""
        assert self._ready is not None
        told = {int(pid) for pid in os.read(self._ready, _READ_BYTES).split()}
        for kept in self._kept:
            if kept.child is not None and kept.child.pid in told:
                kept.ready = kept.was_ready = True
        if told and all(kept.ready for kept in self._kept):
            seconds = round(time.monotonic() - self._began, 1)
            self._manager.tell(READY)
            log.info("all_ready", processes=len(self._kept), after_seconds=seconds)

    def _bury(self) -> int | None:
        """Takes note of children that have ended; returns 2 when one of them refused its configuration, or found that
        another process has its slot. One that had worked, died and is refused now is tried again, and the others go on:
        since then a file has become wrong that they have read already."""
        for kept in self._kept:
            if kept.child is None or kept.child.exitcode is None:
                continue
            code = kept.child.exitcode
            if code == USAGE_EXIT and (kept.ready or not kept.was_ready):
                log.error("role_refused_configuration", process=kept.plan.name)
                kept.child = None
                return USAGE_EXIT
            if code == Flooded.exit_code:
                log.error("role_stopped_by_flood_guard", process=kept.plan.name)
            if code == USAGE_EXIT:
                log.error("role_refused_configuration", process=kept.plan.name, others="go on")
            again = kept.ended(code, time.monotonic())
            log.warning("role_died", process=kept.plan.name, code=code, again_in_seconds=again)
        return None

    def _stop_all(self) -> None:
        self._manager.tell(STOPPING)
        left = [(kept.plan.name, kept.child) for kept in self._kept if kept.child is not None]
        for _, child in left:
            child.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for name, child in left:
            child.join(max(0.0, deadline - time.monotonic()))
            if child.exitcode is None:
                log.warning("role_killed", process=name, after_seconds=STOP_SECONDS)
                child.kill()
                child.join()
            log.info("role_stopped", process=name, code=child.exitcode)


@contextmanager
def _pipe() -> Iterator[tuple[int, int]]:
    """Where to read and where to write; neither blocks."""
    ends = os.pipe()
    for end in ends:
        os.set_blocking(end, False)
    try:
        yield ends
    finally:
        for end in ends:
            os.close(end)


@contextmanager
def _stop_signals() -> Iterator[int]:
    """A descriptor that is readable once SIGTERM, SIGINT or SIGHUP has come, and gives their numbers."""
    with _pipe() as (readable, writable), _handled(writable):
        yield readable


@contextmanager
def _handled(writable: int) -> Iterator[None]:
    """Writes the number of each signal there."""
    before_fd = signal.set_wakeup_fd(writable, warn_on_full_buffer=False)
    # A handler that does nothing: the signal's number is written to the descriptor for it.
    before = {number: signal.signal(number, lambda *_: None) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(before_fd)
