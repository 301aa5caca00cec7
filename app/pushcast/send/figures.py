"""What SEND counts. The metrics catalogue in `observe` reads it; labels are bounded words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from pushcast.model.words import Lane, Platform
from pushcast.observe.tracing import Spans

#: Told the provider latencies of one app in seconds, many at once: (app, platform, seconds of each answer).
Latencies = Callable[[str, Platform, list[float]], None]


def _unobserved(_app: str, _platform: Platform, _seconds: list[float]) -> None:
    """Nobody looks."""


@dataclass(slots=True)
class Figures:
    """Counters only grow. One object may serve several stages."""

    #: Deliveries that ended: (app, platform, lane, outcome, reason or "").
    outcomes: Counter[tuple[str, Platform, Lane, str, str]] = field(default_factory=Counter)
    #: Tries that led to another one: (app, platform, lane, disposition). `unknown` may have reached the device.
    tries_again: Counter[tuple[str, Platform, Lane, str]] = field(default_factory=Counter)
    #: What the edge counts of records that were no SendBatch: (lane, counter, reason).
    edge: Counter[tuple[Lane, str, str]] = field(default_factory=Counter)
    #: Targets that are handed over again by Kafka because their record was not finished here: (platform, lane).
    dropped: Counter[tuple[Platform, Lane]] = field(default_factory=Counter)
    #: Records of planners that had been fenced off: (platform, lane).
    void: Counter[tuple[Platform, Lane]] = field(default_factory=Counter)
    #: Targets that a predecessor had brought to an end, found in the ledger: (platform, lane).
    skipped: Counter[tuple[Platform, Lane]] = field(default_factory=Counter)
    #: Targets whose expiry is later than the provider takes: (platform, lane).
    expiries_cut: Counter[tuple[Platform, Lane]] = field(default_factory=Counter)
    #: Targets that left while a cancel of them may not have been heard: (platform, lane).
    unheard: Counter[tuple[Platform, Lane]] = field(default_factory=Counter)
    #: Targets kept aside: (app, platform, lane, why).
    parked: Counter[tuple[str, Platform, Lane, str]] = field(default_factory=Counter)
    #: State of each breaker now: (app, platform).
    breakers: dict[tuple[str, Platform], str] = field(default_factory=dict)
    #: Openings by what this process saw: (app, platform, reason).
    breakers_opened: Counter[tuple[str, Platform, str]] = field(default_factory=Counter)
    latencies: Latencies = _unobserved
    spans: Spans | None = None  # of sampled events; None: nobody traces
