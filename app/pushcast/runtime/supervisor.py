"""`pushcast run all`: one process per role and lane; one that dies is started again, all stop together."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Sequence

import structlog

from pushcast.config.settings import Settings
from pushcast.kafka.reach import warn_without_broker
from pushcast.observe.logs import configure_logging
from pushcast.runtime.child import child_command
from pushcast.runtime.layout import ProcessPlan
from pushcast.stream.errors import Flooded
from pushcast.transport.folders import FolderLocks

log = structlog.get_logger()

STOP_SECONDS = 30.0  # a role's own quiesce bound is half the rebalance timeout: 15 s
USAGE_EXIT = 2
FIRST_DELAY_SECONDS = 0.5
LONGEST_DELAY_SECONDS = 15.0
HEALTHY_AFTER_SECONDS = 30.0


def supervise(settings: Settings, plans: Sequence[ProcessPlan]) -> int:
    """Blocks until SIGTERM or SIGINT. Returns 0, or 2 when a role refuses its configuration.

    Raises SlotTaken when another supervisor works in this data directory: its roles have the same slots.
    """
    configure_logging("supervisor", settings.observe.log_level, settings.observe.log_json)
    warn_without_broker(settings.kafka.bootstrap_servers)
    locks = FolderLocks([settings.data_dir / "run"])
    try:
        return asyncio.run(Supervisor(plans).run())
    finally:
        locks.close()


class Supervisor:
    """Keeps the planned processes alive."""

    def __init__(self, plans: Sequence[ProcessPlan]) -> None:
        self._plans = plans
        self._stop = asyncio.Event()
        self._refused = False

    async def run(self) -> int:
        """Returns when every process has ended after a stop."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        await asyncio.gather(*(self._keep(plan) for plan in self._plans))
        return USAGE_EXIT if self._refused else 0

    async def _keep(self, plan: ProcessPlan) -> None:
        delay = FIRST_DELAY_SECONDS
        while not self._stop.is_set():
            started = asyncio.get_running_loop().time()
            process = await self._start(plan)
            log.info("role_started", process=plan.name, child_pid=process.pid)
            code = await self._watch(process)
            if self._stop.is_set():
                log.info("role_stopped", process=plan.name, code=code)
                return
            if code == USAGE_EXIT:
                log.error("role_refused_configuration", process=plan.name)
                self._refused = True
                self._stop.set()
                return
            if code == Flooded.exit_code:
                log.error("role_stopped_by_flood_guard", process=plan.name)
                delay = LONGEST_DELAY_SECONDS  # it stops again until its input is better
            elif asyncio.get_running_loop().time() - started > HEALTHY_AFTER_SECONDS:
                delay = FIRST_DELAY_SECONDS
            log.warning("role_died", process=plan.name, code=code, again_in_seconds=delay)
            try:
                await asyncio.wait_for(self._stop.wait(), delay)
            except TimeoutError:
                delay = min(delay * 2, LONGEST_DELAY_SECONDS)

    async def _start(self, plan: ProcessPlan) -> asyncio.subprocess.Process:
        def before_exec() -> None:
            # Ctrl-C goes to the whole foreground group: only the supervisor shall hear it.
            os.setpgid(0, 0)
            if plan.niceness:
                os.nice(plan.niceness)

        return await asyncio.create_subprocess_exec(*child_command("run", *plan.arguments), preexec_fn=before_exec)

    async def _watch(self, process: asyncio.subprocess.Process) -> int:
        ended = asyncio.ensure_future(process.wait())
        stop = asyncio.ensure_future(self._stop.wait())
        await asyncio.wait({ended, stop}, return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        if not ended.done():
            process.send_signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(asyncio.shield(ended), STOP_SECONDS)
            except TimeoutError:
                log.warning("role_killed", pid=process.pid, after_seconds=STOP_SECONDS)
                process.kill()
        return await ended
