"""When a provider's verdict on a token is not to be believed. Pure."""

from __future__ import annotations

from pushcast.model.words import Platform
from pushcast.wire.control.control import reached
from pushcast.wire.control.control_state import ControlState
from pushcast.wire.devices.addresses import host_of


class BreakerDoubts:
    """Judges by what the senders announced about their breakers.

    Stricter than the abnormal window: a verdict from before a breaker opened is doubted as well, as long as nothing
    came of it. When the window began is a sender's estimate, and windows before the last ones are forgotten; a dead
    token that stays is found again by its next push, a good one that goes is not.
    """

    def __init__(self, control: ControlState) -> None:
        self._control = control

    def doubted(self, app: str, platform: str, at_ms: int) -> bool:
        """See `ports.Doubts`. About 1 µs."""
        where = Platform(platform)
        breaker = self._control.breaker(app, where)
        if breaker is None:
            return False
        return breaker.is_open or breaker.opened_at_ms >= at_ms or self._control.abnormal(app, where, at_ms)

    def reached(self, app: str, address: bytes, at_ms: int) -> bool:
        """See `ports.Doubts`."""
        host = host_of(address)
        known = None if host is None else self._control.reached.get(reached(app, host).name)
        return known is not None and known.at_ms >= at_ms
