"""How late the event loop is."""

from __future__ import annotations

import asyncio
from typing import Any

from pushcast.observe.catalogue import MetricName as Name
from pushcast.observe.loop_delay import LOOP_DELAY_SECONDS, LoopDelay
from pushcast.observe.metrics import Sample


class _Loop:
    """A loop whose time is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0
        self.timers: list[tuple[float, Any]] = []

    def time(self) -> float:
        return self.now

    def call_at(self, at: float, call: Any) -> asyncio.TimerHandle:
        self.timers.append((at, call))
        return None  # type: ignore[return-value]

    def run_next(self, late: float) -> None:
        at, call = self.timers.pop()
        self.now = at + late
        call()


def test_the_longest_delay_of_the_last_minute_is_shown_to_everybody_who_asks() -> None:
    """faults.md P3-31: two Prometheus replicas each took half of what there was."""
    loop = _Loop()
    delay = LoopDelay(loop)  # type: ignore[arg-type]
    for late in (0.0, 0.5, 0.125):
        loop.run_next(late)
    assert delay() == delay() == [Sample(Name.LOOP_DELAY, 0.5)]
    loop.now += LOOP_DELAY_SECONDS - 0.2
    assert delay() == [Sample(Name.LOOP_DELAY, 0.125)], "the longer one is over a minute old"
    loop.now += 1.0
    assert delay() == [Sample(Name.LOOP_DELAY, 0.0)]
