"""Callbacks of the event loop that a stage depends on."""

from __future__ import annotations

from collections.abc import Callable

from pushcast.stream.ports import Fatal

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
