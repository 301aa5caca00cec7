"""Calling a step of a stage again while Kafka or the network is not well."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from pushcast.wire.newer import NewerSchema

logger = logging.getLogger(__name__)

#: What a stage may raise to be called again: Kafka or the network is not well, the record is not to blame. Errors of
#: the transport's client reach a stage through `Work`, as ConnectionError.
RETRIED = (OSError, TimeoutError)

FIRST_BACKOFF_SECONDS = 0.1
MAX_BACKOFF_SECONDS = 5.0


def cancelled_by_somebody(task: asyncio.Task[None] | None) -> bool:
    """Whether `cancel` was called on a task that is cancelled; else only what it waited for was cancelled."""
    return task is None or task.cancelling() > 0


async def retried(
    what: str,
    call: Callable[[], Awaitable[None]],
    given_up: Callable[[], bool],
    on_error: Callable[[Exception], None] = lambda _: None,
) -> None:
    """Calls until it returns; RETRIED errors are logged and tried again with back-off, others propagate.

    Raises RuntimeError where a step was cancelled that nobody told to end: what it waited for was.
    Returns without success once `given_up` holds after an error. `on_error` is told of each error that is tried again.
    What waits until somebody is upgraded is logged once.
    """
    delay = FIRST_BACKOFF_SECONDS
    said = ""
    while True:
        try:
            await call()
            return
        except asyncio.CancelledError as exc:
            if cancelled_by_somebody(asyncio.current_task()):
                raise
            # Whoever looks at tasks takes a cancelled one for ended on purpose, and the partition would stand for ever.
            raise RuntimeError(f"{what} waited for something that was cancelled") from exc
        except RETRIED as exc:
            if given_up():
                logger.warning("%s is given up: %r", what, exc)
                return
            on_error(exc)
            if not isinstance(exc, NewerSchema):
                logger.warning("%s is tried again in %.1f s: %r", what, delay, exc)
            elif str(exc) != said:
                said = str(exc)
                logger.warning("%s waits: %s", what, said)
            await asyncio.sleep(delay)
            delay = min(delay * 2, MAX_BACKOFF_SECONDS)
