"""When an endpoint is tried again, and when it is given up. Pure: time and randomness are passed in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

FIRST_SECONDS: Final = 5.0
LONGEST_SECONDS: Final = 900.0
#: Of a wait, both ways: endpoints of one receiver do not come back together.
JITTER: Final = 0.2
#: The longest wait that an endpoint may ask for.
LONGEST_ASKED_SECONDS: Final = 3600.0
GIVEN_UP_MS: Final = 72 * 3_600_000
TAKEN: Final = "ok"
GONE: Final = "http_410"


class Said(NamedTuple):
    """What came of a try. `result`: `ok`, `http_<status>`, `timeout`, `connection` or `blocked_address`."""

    result: str
    retry_after_seconds: float | None = None


class EndpointPatience:
    """Of one endpoint: it stands still as a whole, since it fails as a whole."""

    def __init__(self, spread: Callable[[float, float], float]) -> None:
        """`spread`: a random number between both."""
        self._spread = spread
        self.failures = 0  # in a row
        self.again_at = 0.0  # on the caller's clock

    def taken(self) -> None:
        """It works."""
        self.failures, self.again_at = 0, 0.0

    def failed(self, said: Said, now: float) -> float:
        """It does not. Returns how long to wait: as it asked, unless it asked for nothing, or for a time that is over.
        An endpoint that always does so would otherwise be asked without a pause for three days."""
        wait: float = min(LONGEST_SECONDS, FIRST_SECONDS * 2 ** min(self.failures, 10))
        wait *= self._spread(1 - JITTER, 1 + JITTER)
        if said.retry_after_seconds is not None and said.retry_after_seconds > 0:
            wait = min(LONGEST_ASKED_SECONDS, said.retry_after_seconds)
        self.failures += 1
        self.again_at = now + wait
        return wait


def given_up(said: Said, failing_since_ms: int, now_ms: int) -> str | None:
    """Why an endpoint is disabled after this try; None: it is tried again."""
    if said.result == GONE:
        return "the endpoint answered 410 Gone"
    if said.result != TAKEN and failing_since_ms and now_ms - failing_since_ms >= GIVEN_UP_MS:
        return f"nothing was taken for {GIVEN_UP_MS // 3_600_000} hours; the last try ended with {said.result}"
    return None
