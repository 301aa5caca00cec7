"""Announces push services that answer although SEND had given them up, so that REGISTER puts back what that cost."""

from __future__ import annotations

import structlog

from pushcast.model.clock import Clock
from pushcast.send.isolation import name_of_process
from pushcast.stream.ports import Outbox
from pushcast.wire import topics
from pushcast.wire.control.control import Reached, encode, reached

log = structlog.get_logger(__name__)

_CONTROL_PARTITION = 0


class ReachedHosts:
    """Of all apps of one process."""

    def __init__(self, outbox: Outbox, clock: Clock) -> None:
        self._outbox = outbox
        self._clock = clock
        self._name = name_of_process()

    def tell(self, app: str, host: str) -> None:
        """Writes the announcement; waits for nothing."""
        log.info("given_up_host_answers", app=app, host=host)
        entry = Reached(self._clock.now_ms(), self._name)
        key = reached(app, host).key()
        self._outbox.put(self._outbox.barrier(), topics.CONTROL, _CONTROL_PARTITION, encode(entry), key)
