"""The demo's verdict in the contract's words. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from pushcast.audit.accounts import Totals
from pushcast.audit.timer_ledger import TimerTotals
from pushcast.demo.parts import lane_and_part
from pushcast.model.words import Outcome, Source
from pushcast.simulators.latency import LatencyHistogram
from pushcast.wire.answers.receipts import Planned


@dataclass(slots=True)
class Tally:
    """What the receipts say per platform, and when the last one ended."""

    per_platform: dict[str, Counter[str]] = field(default_factory=dict)
    last_ended_ms: int = 0  # of the notifications: broadcasts come after them
    broadcast: int = 0  # deliveries of broadcasts
    reasons: Counter[str] = field(default_factory=Counter)  # of notifications that ended as suppressed

    held: Counter[str] = field(default_factory=Counter)  # what waited, by why

    def planned(self, planned: Planned) -> None:
        """One planned record."""
        self.held.update(why for why, facts in zip(planned.reason, planned.facts, strict=True) if facts.held)

    def add(self, receipt: dict[str, Any]) -> None:
        """One distinct receipt."""
        platform = receipt["platform"]
        if platform is not None:
            self.per_platform.setdefault(platform, Counter())[receipt["outcome"]] += 1
        if receipt["outcome"] == Outcome.SUPPRESSED:
            self.reasons[receipt["reason"]] += 1
        if receipt["source"] == Source.WALK:
            self.broadcast += 1
        else:
            self.last_ended_ms = max(self.last_ended_ms, receipt["ended_at"])


def result_of(
    *,
    totals: Totals,
    tally: Tally,
    simulators: dict[str, dict[str, Any]],
    devices: int,
    dead_tokens: int,
    devices_removed: int,
    engines: dict[str, str],
    produced_from_ms: int,
    duplicates_bound: int = 0,
    timers: TimerTotals = TimerTotals(),  # noqa: B008 - nobody changes it
) -> dict[str, Any]:
    """Contract 'demo'. `balanced` also demands that the simulators counted what the receipts say, and no copy more
    than `duplicates_bound`, which is 0 unless a sender was killed; and that every timer was released once."""
    seconds = max(0.001, (tally.last_ended_ms - produced_from_ms) / 1000)
    accounts = totals.to_dict()
    duplicates = sum(int(stats["duplicates"]) for stats in simulators.values())
    accepted_there = sum(int(stats["accepted"]) for stats in simulators.values())
    complete = all(stats["copies_complete"] for stats in simulators.values())
    true = accepted_there - duplicates == accounts["accepted"]
    balanced = totals.balanced and duplicates <= duplicates_bound and complete and true
    balanced = balanced and timers.balanced and not timers.waiting
    pushes = sum(sum(counter.values()) for counter in tally.per_platform.values()) - tally.broadcast
    return {
        **accounts,
        "duplicates_at_provider": duplicates,
        "accepted_at_provider": accepted_there,
        "devices": devices,
        "dead_tokens": dead_tokens,
        "devices_removed": devices_removed,
        "seconds": round(seconds, 3),
        "pushes_per_second": round(pushes / seconds),
        "latency_ms": worst_latency(simulators),
        "timers": timers.to_dict(),
        "suppressed_by_reason": dict(sorted(tally.reasons.items())),
        "held_by_reason": dict(sorted(tally.held.items())),
        "per_lane": per_lane(simulators),
        "per_platform": {
            platform: {
                "engine": engines.get(platform),
                **dict(tally.per_platform.get(platform, Counter())),
                "requests_at_provider": stats["requests"],
                "latency_ms": stats["latency_ms"],
            }
            for platform, stats in simulators.items()
        },
        "balanced": balanced,
    }


def per_lane(simulators: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Of each lane: pushes that arrived, and `latency_ms` from the event's Kafka time to a push's first arrival; the
    same of its `parts`, where it has some."""
    lanes: dict[str, LatencyHistogram] = {}
    parts: dict[str, dict[str, LatencyHistogram]] = {}
    for stats in simulators.values():
        for group, arrived in stats["arrivals"].items():
            lane, part = lane_and_part(group)
            found = [lanes.setdefault(lane, LatencyHistogram())]
            if part:
                found.append(parts.setdefault(lane, {}).setdefault(part, LatencyHistogram()))
            for histogram in found:
                histogram.merge(arrived["counts"], arrived["max_ms"])
    shown = {lane: _arrivals(histogram) for lane, histogram in sorted(lanes.items())}
    for lane, of_lane in parts.items():
        shown[lane]["parts"] = {part: _arrivals(histogram) for part, histogram in sorted(of_lane.items())}
    return shown


def _arrivals(histogram: LatencyHistogram) -> dict[str, Any]:
    row = histogram.summary()
    return {"arrived": row["count"], "latency_ms": {name: row[name] for name in ("p50", "p95", "p99")}}


def worst_latency(simulators: dict[str, dict[str, Any]]) -> dict[str, float | None]:
    """The slower platform's percentiles: percentiles of different populations cannot be added."""
    rows = [stats["latency_ms"] for stats in simulators.values() if stats.get("latency_ms")]
    return {
        name: max((row[name] for row in rows if row.get(name) is not None), default=None)
        for name in ("p50", "p95", "p99")
    }
