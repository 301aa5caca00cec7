"""The metric of everything that MIRROR counts besides what every stage does."""

from __future__ import annotations

from typing import Final

from pushcast.observe.catalogue import MetricName as Name
from pushcast.observe.stage_counters import LANE, PAIR, ROLE, StageCounter, StageCounters

COUNTERS: Final[StageCounters] = {
    "topic_changes": StageCounter(Name.MIRRORED_TOPICS, (PAIR,)),
    "void_topics": StageCounter(Name.TAIL_VOID, (ROLE, LANE)),
}
