"""The metric of everything that OWN counts besides what every stage does."""

from __future__ import annotations

from typing import Final

from pushcast.observe.catalogue import MetricName as Name
from pushcast.observe.stage_counters import WORD, StageCounter, StageCounters

COUNTERS: Final[StageCounters] = {
    "token_claims": StageCounter(Name.TOKEN_CLAIMS, (WORD,)),
    "token_marks_ended": StageCounter(Name.TOKEN_MARKS_ENDED),
    "token_contested": StageCounter(Name.TOKENS_CONTESTED),
}
