"""The metric of everything that REGISTER counts besides what every stage does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from pushcast.observe.catalogue import MetricName as Name
from pushcast.observe.metrics import Sample
from pushcast.observe.stage_counters import WORD, StageCounter, StageCounters

COUNTERS: Final[StageCounters] = {
    "registrations": StageCounter(Name.DEVICE_CHANGES, ("register", WORD)),
    "unregistrations": StageCounter(Name.DEVICE_CHANGES, ("unregister", WORD)),
    "users_forgotten": StageCounter(Name.DEVICE_CHANGES, ("forget_user", WORD)),
    "topic_changes": StageCounter(Name.DEVICE_CHANGES, ("topics", WORD)),
    "seen": StageCounter(Name.DEVICE_CHANGES, ("seen", WORD)),
    "activations": StageCounter(Name.DEVICE_CHANGES, ("activate", WORD)),
    "preferences": StageCounter(Name.DEVICE_CHANGES, ("prefer", WORD)),
    "at_in_future": StageCounter(Name.CLOCKS_AHEAD),
    "removals": StageCounter(Name.DEVICES_REMOVED, (WORD,)),
    "markers_dropped": StageCounter(Name.MARKERS_DROPPED),
    "sweeps": StageCounter(Name.SWEEPS, (WORD,)),
    "evictions": StageCounter(Name.EVICTIONS, (WORD,)),
    "resealed": StageCounter(Name.RESEALED, (WORD,)),
    "suspensions": StageCounter(Name.SUSPENSIONS, (WORD,)),
    "holds_over": StageCounter(Name.HOLDS_OVER, (WORD,)),
    "kept_tokens": StageCounter(Name.TOKENS_KEPT, (WORD,)),
    "claims": StageCounter(Name.REGISTER_CLAIMS),
}


def sweeps(figures: Mapping[str, int]) -> Iterator[Sample]:
    """What a registrar's sweeps have found."""
    yield Sample(Name.DEVICES_OVERDUE, figures["overdue"], ())
    yield Sample(Name.SWEEPS_BRAKED, figures["braked"], ())
