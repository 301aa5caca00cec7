"""The metric of everything that SETTLE counts besides what every stage does."""

from __future__ import annotations

from typing import Final

from pushcast.observe.catalogue import MetricName as Name
from pushcast.observe.stage_counters import WORD, StageCounter, StageCounters

COUNTERS: Final[StageCounters] = {
    "settled": StageCounter(Name.RETRIED, (WORD,)),
    "carried": StageCounter(Name.PARKED_CARRIED, (WORD,)),
    "known": StageCounter(Name.SETTLED_BEFORE, (WORD,)),
    "ended": StageCounter(Name.RETRIES_ENDED, (WORD,)),
    "void": StageCounter(Name.SETTLE_VOID, (WORD,)),
}
