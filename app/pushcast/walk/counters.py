"""The metric of everything that WALK counts besides what every stage does."""

from __future__ import annotations

from typing import Final

from pushcast.observe.catalogue import MetricName as Name
from pushcast.observe.stage_counters import LANE, WORD, StageCounter, StageCounters

COUNTERS: Final[StageCounters] = {
    "batches": StageCounter(Name.BATCHES, (WORD, LANE)),
    "targets": StageCounter(Name.TARGETS, (WORD, LANE)),
    "held": StageCounter(Name.HELD, (LANE, WORD)),
    "legs": StageCounter(Name.WALK_LEGS, (LANE,)),
    "void_orders": StageCounter(Name.WALK_VOID, (LANE,)),
}
