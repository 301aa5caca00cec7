"""The metric of everything that SPREAD counts besides what every stage does."""

from __future__ import annotations

from typing import Final

from pushcast.observe.catalogue import MetricName as Name
from pushcast.observe.stage_counters import WORD, StageCounter, StageCounters

COUNTERS: Final[StageCounters] = {
    "spread": StageCounter(Name.BROADCASTS, (WORD,)),
}
