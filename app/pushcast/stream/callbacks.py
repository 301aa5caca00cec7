"""Callbacks and timers of the event loop that a stage depends on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from pushcast.stream.ports import CallLater, Fatal, TimerHandle

Guarded = Callable[[Callable[[], None]], None]


def guarded(what: str, fatal: Fatal) -> Guarded:
    """Runs a step and gives what it raises to `fatal`, as `what`.

    The loop only logs what its callbacks raise; in a stage that would leave records open for ever.
    """

    def run(step: Callable[[], None]) -> None:
        try:
            step()
        except Exception as error:
            fatal(what, error)

    return run


def timers(given: CallLater | None = None) -> CallLater:
    """`call_later` of the loop that runs when a timer is set, unless a test has given its own."""

    def later(delay_seconds: float, step: Callable[[], None]) -> TimerHandle:
        return asyncio.get_running_loop().call_later(delay_seconds, step)

    return given or later
