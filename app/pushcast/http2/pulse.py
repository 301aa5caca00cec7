"""Whether the peer is still there: what its silence calls for. Pure; time is passed in (loop seconds)."""

from __future__ import annotations

import enum
from typing import Final

from pushcast.http2.errors import PeerSilent
from pushcast.http2.options import ConnectionOptions

_MAX_PINGS_WITHOUT_REQUEST: Final = 2


class Situation(enum.Enum):
    """SETTLING: the server's SETTINGS have not come. WAITING: something is out, or cannot be written."""

    SETTLING = "settling"
    WAITING = "waiting"
    IDLE = "idle"


class Pulse:
    """`heard` is set by whoever receives bytes, `requested` is called when a request leaves."""

    __slots__ = ("_heard_at", "_looked_at", "_opened_at", "_options", "_ping_at", "_pings_without_request", "heard")

    def __init__(self, options: ConnectionOptions, now: float) -> None:
        self.heard = True
        self._options = options
        self._opened_at = self._heard_at = self._looked_at = now
        self._ping_at: float | None = None
        self._pings_without_request = 0

    def requested(self) -> None:
        """PINGs are allowed again: FCM counts those without a request between them."""
        self._pings_without_request = 0

    def look(self, now: float, situation: Situation) -> bool:
        """Whether a PING is to be sent now. Raises PeerSilent when the peer is gone."""
        if self.heard:
            self.heard = False
            self._heard_at = now
            self._ping_at = None
        looked_at, self._looked_at = self._looked_at, now
        options = self._options
        silent_seconds = now - self._heard_at
        if situation is Situation.SETTLING:
            if now - self._opened_at >= options.settings_timeout_seconds:
                raise PeerSilent("no SETTINGS came")
            return False
        if self._ping_at is not None:
            if now - looked_at > options.ping_timeout_seconds / 2:
                self._ping_at = now  # it was we who were away: the answer may wait in the socket
            elif now - self._ping_at >= options.ping_timeout_seconds:
                raise PeerSilent(f"nothing was heard for {silent_seconds:.1f} s, a PING included")
            return False
        if situation is Situation.WAITING:
            due = silent_seconds >= options.ping_after_seconds
            if not due or self._pings_without_request >= _MAX_PINGS_WITHOUT_REQUEST:
                return False
            self._pings_without_request += 1
        elif options.idle_ping_seconds is None or silent_seconds < options.idle_ping_seconds:
            return False
        self._ping_at = now
        return True
