"""Roles as forks of their supervisor: everything that they import is in memory once."""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import sys
import threading
from collections.abc import Callable
from functools import partial
from importlib import import_module
from multiprocessing.context import ForkProcess, SpawnProcess, get_spawning_popen
from multiprocessing.process import BaseProcess
from typing import Final, Self

from pushcast.config.settings import Settings, load
from pushcast.kafka.topics import load_topology
from pushcast.model.said import said
from pushcast.runtime import start
from pushcast.runtime.child import end_with_parent
from pushcast.runtime.layout import ProcessPlan
from pushcast.runtime.memory import fill_gaps, give_back, share_pools
from pushcast.runtime.priority import stand_apart
from pushcast.stream.stages import stages
from pushcast.wire.schemas import NAMES, avro_type

#: What roles import sooner or later, beside the stages, each in its own memory unless it is here. None of it starts a
#: thread.
SHARED_MODULES: Final = (
    *("pushcast.runtime.process", "pushcast.providers.registry", "pushcast.kafka.group_offsets"),
    *("faust.app.base", "faust.fixups.django", "faust.web.cache.cache", "faust.web.views", "faust.worker"),
    *(
        "faust.app.router",
        "faust.events",
        "faust.topics",
        "faust.tables.sets",
        "faust.transport.utils",
        "faust.utils.venusian",
        "httpcore",
        "h2.connection",
        "tzdata.zoneinfo",
    ),
)
#: Of Python's small objects: how many find a free place between others after these imports, by their size in bytes.
_GAPS: Final = {48: 6000, 64: 1000, **dict.fromkeys(range(80, 513, 16), 300)}
_BYTES_OVERHEAD: Final = sys.getsizeof(b"")
PR_SET_NAME: Final = 15  # prctl(2)
_ENDS: Final = (signal.SIGTERM, signal.SIGINT)


class Forker:
    """Starts planned processes. Where forking is not safe (macOS) each is a fresh interpreter."""

    def __init__(self, in_child: Callable[[], None], settings: Callable[[], Settings] = load) -> None:
        """`in_child` lets go, in a fork, of what only the supervisor shall hold. `settings`: `Loaded.again`."""
        self._forks = forks = sys.platform == "linux"
        self._process: type[ForkProcess | SpawnProcess] = ForkProcess if forks else SpawnProcess
        self._target = partial(_in_fork, in_child, settings) if forks else _in_fresh_interpreter
        if forks:
            for name in (*SHARED_MODULES, *(f"{stage.package}.stage" for stage in stages())):
                import_module(name)
            load_topology()
            for schema in NAMES:
                avro_type(schema)
            share_pools()
            gc.collect()
            give_back()
            # What a child makes would go into the gaps between shared objects, and copy the page around each.
            self._in_gaps = [bytes(size - _BYTES_OVERHEAD) for size, count in _GAPS.items() for _ in range(count)]
            fill_gaps()
            gc.freeze()  # no collection of a child writes to what it shares

    def start(self, plan: ProcessPlan) -> BaseProcess:
        """Raises RuntimeError when this process has threads: what one of them locks stays locked in a fork."""
        if self._forks and threading.active_count() > 1:
            raise RuntimeError(f"{plan.name} cannot be forked from a process with threads")
        # A fork has every descriptor, a fresh interpreter those that its arguments bring along.
        brought = () if self._forks else (BroughtAlong(plan.ready_fd),)
        process = self._process(target=self._target, args=(plan, os.getpid(), *brought), name=plan.name)
        if not self._forks:
            process.start()
            return process
        # A fork has its supervisor's handlers, which only take note of a signal for the supervisor, until `run_role`
        # has set its own: what comes in between waits, else the stop of a role that has just begun would be lost.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDS)
        try:
            process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return process


class BroughtAlong:
    """A descriptor, or none, that a spawned process has under the same number when this is among its arguments."""

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor

    def __reduce__(self) -> tuple[type[Self], tuple[int | None]]:
        spawning = get_spawning_popen()
        if spawning is not None and self._descriptor is not None:
            spawning.duplicate_for_child(self._descriptor)
        return type(self), (self._descriptor,)


def _in_fresh_interpreter(plan: ProcessPlan, parent: int, _: BroughtAlong) -> None:
    run_role(plan, parent)


def _in_fork(let_go: Callable[[], None], settings: Callable[[], Settings], plan: ProcessPlan, parent: int) -> None:
    let_go()
    run_role(plan, parent, settings)


def run_role(plan: ProcessPlan, parent: int, settings: Callable[[], Settings] = load) -> None:
    """Runs what is planned in this process, and ends it with the code of that."""
    signal.set_wakeup_fd(-1)
    for number in _ENDS:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDS)
    # Its own session also keeps Ctrl-C from it, which goes to the whole foreground group: the supervisor shall hear it.
    stand_apart(plan.niceness)
    end_with_parent(parent)
    if sys.platform == "linux":  # else `ps` and `top` would show the supervisor's name for all of them
        ctypes.CDLL(None).prctl(PR_SET_NAME, plan.name.encode(), 0, 0, 0)
    try:
        code = start.run(settings(), plan)
    except Exception as error:
        if (told := said(error)) is None:
            sys.excepthook(*sys.exc_info())  # as at the end of any process: multiprocessing would print it past the log
            sys.exit(1)
        print(f"error: {told[0]}", file=sys.stderr, flush=True)
        code = told[1]
    sys.exit(code)
