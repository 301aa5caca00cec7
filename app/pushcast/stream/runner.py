"""When work of a stage runs: one timer, one task, and one way to a fatal end.

A tenure that waits (for a due time, for a window to close, for room) has a runner. It is the only place that starts
timers and tasks for the tenure, so that closing the tenure ends both.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from pushcast.stream.callbacks import guarded, timers
from pushcast.stream.ports import CallLater, Fatal, TimerHandle
from pushcast.stream.retrying import cancelled_by_somebody

#: Seconds until there is work: None while there is none, 0 or less when it may be done now.
Wait = Callable[[], float | None]
Work = Callable[[], Coroutine[Any, Any, None]]


class Runner:
    """Runs `work` whenever `wait` says so, one run at a time. It belongs to the event loop.

    After each run `wait` is asked again. An error of either goes to `fatal` as `what`, and nothing runs afterwards by
    itself. `call_later` is the loop's unless a test has its own.
    """

    __slots__ = (
        "_again",
        "_fatal",
        "_guarded",
        "_later",
        "_stopped",
        "_task",
        "_timer",
        "_wait",
        "_what",
        "_work",
    )

    def __init__(self, what: str, wait: Wait, work: Work, fatal: Fatal, call_later: CallLater | None = None) -> None:
        self._what = what
        self._wait = wait
        self._work = work
        self._fatal = fatal
        self._guarded = guarded(what, fatal)
        self._later = timers(call_later)
        self._timer: TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._again = False
        self._stopped = False

    @property
    def running(self) -> bool:
        """Whether a run is under way."""
        return self._task is not None

    def wake(self) -> None:
        """Something has changed: sees to it that work is done when it may be, and not before.

        Raises what `wait` raises. While a run is under way nothing happens: its end asks again.
        """
        if self._stopped or self._task is not None:
            return
        self._clear_timer()
        wait = self._wait()
        if wait is None:
            return
        if wait > 0:
            self._timer = self._later(wait, self._elapsed)
        else:
            self._task = asyncio.create_task(self._work())
            self._task.add_done_callback(self._ended)

    def cancel(self) -> None:
        """Gives up the run that is under way; `wait` is asked again when it has ended."""
        if self._task is not None:
            self._again = True
            self._task.cancel()

    def stop(self) -> None:
        """Nothing is begun any more, and the run that is under way is cancelled."""
        self._stopped = True
        self._clear_timer()
        self.cancel()

    async def stopped(self) -> None:
        """`stop`, and returns when no run is under way."""
        self.stop()
        if self._task is not None:
            await asyncio.wait([self._task])

    def _elapsed(self) -> None:
        self._timer = None
        self._guarded(self.wake)

    def _clear_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _ended(self, task: asyncio.Task[None]) -> None:
        again, self._again, self._task = self._again, False, None
        if task.cancelled():
            if not cancelled_by_somebody(task):
                self._fatal(self._what, RuntimeError("it waited for something that was cancelled"))
            # Not by us: the loop ends, and a new task would outlive it.
            elif again:
                self._guarded(self.wake)
        elif (error := task.exception()) is not None:
            self._fatal(self._what, error)
        else:
            self._guarded(self.wake)
