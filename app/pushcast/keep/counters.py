"""The metric of everything that KEEP counts besides what every stage does."""

from __future__ import annotations

from typing import Final

from pushcast.observe.catalogue import MetricName as Name
from pushcast.observe.stage_counters import WORD, StageCounter, StageCounters

COUNTERS: Final[StageCounters] = {
    "opened": StageCounter(Name.TIMERS_OPENED, (WORD,)),
    "closed": StageCounter(Name.TIMERS_CLOSED, (WORD,)),
    "void_timers": StageCounter(Name.TIMERS_VOID, (WORD,)),
    "zones_changed": StageCounter(Name.TIMERS_REZONED),
    "timers_rezoned": StageCounter(Name.TIMERS_REZONED),
    "badges": StageCounter(Name.BADGES, (WORD,)),
    "digests": StageCounter(Name.DIGESTS),
    "digests_asked": StageCounter(Name.DIGESTS_ASKED),
    "capped": StageCounter(Name.CAPS_REACHED, (WORD,)),
    "given_back": StageCounter(Name.SLOTS_GIVEN_BACK),
    "unconfirmed": StageCounter(Name.SLOTS_UNCONFIRMED),
    "removal_pushes": StageCounter(Name.REMOVAL_PUSHES, (WORD,)),
    "users_forgotten": StageCounter(Name.DEVICE_CHANGES, ("forget_user", "keeper")),
}
