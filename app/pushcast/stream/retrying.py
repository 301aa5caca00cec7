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


async def retried(
    what: str,
    call: Callable[[], Awaitable[None]],
    given_up: Callable[[], bool],
    on_error: Callable[[Exception], None] = lambda _: None,
) -> None:
    """Calls until it returns; RETRIED errors are logged and tried again with back-off, others propagate.

    Returns without success once `given_up` holds after an error. `on_error` is told of each error that is tried again.
    What waits until somebody is upgraded is logged once.
    """
    delay = FIRST_BACKOFF_SECONDS
    said = ""
    while True:
        try:
            await call()
            return
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
