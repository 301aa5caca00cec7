"""What POLL counts. The metrics catalogue in `observe` reads it; labels are bounded words."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

#: Reasons of its own, with the disposition `unknown`.
NO_RECEIPT: Final = "no_receipt"


@dataclass(slots=True)
class PollCounters:
    """Counters only grow."""

    #: What became of pushes after their ticket: (app, platform, disposition, reason or "").
    receipts: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)
    #: Questions: (app, platform, "answered" or the reason of the refusal).
    asked: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    #: What the edge counts of records that were no tickets: (counter, reason).
    edge: Counter[tuple[str, str]] = field(default_factory=Counter)
