"""The metric of everything that PLAN counts besides what every stage does."""

from __future__ import annotations

from typing import Final

from pushcast.observe.catalogue import MetricName as Name
from pushcast.observe.stage_counters import LANE, PAIR, WORD, StageCounter, StageCounters

COUNTERS: Final[StageCounters] = {
    "suppressed": StageCounter(Name.NOT_PLANNED, (LANE, WORD)),
    "zones_assumed": StageCounter(Name.ZONES_ASSUMED, (LANE,)),
    "held": StageCounter(Name.HELD, (LANE, WORD)),
    "batches": StageCounter(Name.BATCHES, (WORD, LANE)),
    "targets": StageCounter(Name.TARGETS, (WORD, LANE)),
    "earlier_rows": StageCounter(Name.EARLIER_SCHEMAS, (PAIR,)),
}
