"""Pages of other origins: which of them a browser lets read the answers (the Fetch standard's CORS protocol). Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from pushcast.gateway.access import APP_HEADER
from pushcast.gateway.anonymous import DEVICE_HEADER, SECRET_HEADER
from pushcast.gateway.http import Answer
from pushcast.wire.headers import TRACEPARENT

ORIGIN: Final = "Origin"
#: A browser asks with it what it may send; it never carries a key.
ASKED_METHOD: Final = "Access-Control-Request-Method"
#: So long a browser may go by what a preflight said.
KEEP_SECONDS: Final = 600
_TAKEN: Final = (
    "Authorization",
    "Content-Type",
    "Idempotency-Key",
    APP_HEADER,
    DEVICE_HEADER,
    SECRET_HEADER,
    TRACEPARENT,
)
_TOLD: Final = ("Location", "Link", "Retry-After", "RateLimit", "RateLimit-Policy")


class Cors:
    """Answers of a gateway that names these origins; without any it says nothing, and browsers keep other pages out.

    Cookies are never allowed: who asks is in the headers alone, so that no page can use what another one is.
    """

    def __init__(self, origins: Collection[str]) -> None:
        self._origins = frozenset(origins)

    def headers(self, origin: str | None) -> dict[str, str]:
        """Of every answer. `Vary` also where the origin is not one of ours: a cache must not give it that answer."""
        if not self._origins:
            return {}
        if origin not in self._origins:
            return {"Vary": ORIGIN}
        return {
            "Access-Control-Allow-Origin": str(origin),
            "Access-Control-Expose-Headers": ", ".join(_TOLD),
            "Vary": ORIGIN,
        }

    def preflight(self, headers: Mapping[str, str], methods: Collection[str]) -> Answer | None:
        """What a browser is told of a path with these methods. None: it is no preflight, or of no origin of ours."""
        if headers.get(ORIGIN) not in self._origins or ASKED_METHOD not in headers or not methods:
            return None
        allowed = {
            "Access-Control-Allow-Methods": ", ".join(sorted(methods)),
            "Access-Control-Allow-Headers": ", ".join(_TAKEN),
            "Access-Control-Max-Age": str(KEEP_SECONDS),
        }
        return Answer(204, headers=allowed)


#: No other origin.
CLOSED: Final = Cors(())
