"""What REGISTER needs of its table, so that it runs without Kafka in tests, and the counts it keeps."""

from __future__ import annotations

from collections import Counter
from typing import Protocol

#: What happened, by (name, kind): ("registrations", "written"), ("dead_letters", "key_missing"), …
Counters = Counter[tuple[str, str]]


class Doubts(Protocol):
    """Whether a provider's verdicts are to be believed."""

    def doubted(self, app: str, platform: str, at_ms: int) -> bool:
        """True when the breaker of (app, platform) is open, or opened after this time, or the time lies in one of its
        abnormal windows."""
        ...

    def reached(self, app: str, address: bytes, at_ms: int) -> bool:
        """True when the push service of a subscription answered after this time, although it had been given up."""
        ...
