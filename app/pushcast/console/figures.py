"""What the processes' figures amount to: how much and how fast in the last minutes, and what waits. Pure."""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from typing import Final, Generic, NamedTuple, TypeVar

from prometheus_client.parser import text_string_to_metric_families

from pushcast.model.words import Lane, Outcome
from pushcast.observe.catalogue import MetricName
from pushcast.observe.foreign import page_of_figures
from pushcast.observe.service_level import quantile

STEP_SECONDS: Final = 5.0
STEPS: Final = 120
_BUCKET: Final = f"{MetricName.ACCEPTED_SECONDS}_bucket"
_WEBHOOKS: Final = (MetricName.WEBHOOK_LAG, MetricName.WEBHOOK_AGE, MetricName.WEBHOOK_REQUESTS)
_READ: Final = (
    *(MetricName.OUTCOMES, MetricName.OLDEST_UNFINISHED, MetricName.PARTITIONS, MetricName.HEARTBEAT_AGE, _BUCKET),
    *_WEBHOOKS,
)


class Posting(NamedTuple):
    """How a process posts to an endpoint. `lag`: records; `age`: seconds that the oldest event waits; `tries`: by
    result."""

    lag: float
    age: float
    tries: Mapping[str, float]


class ProcessFigures(NamedTuple):
    """Of one process. `outcomes`: deliveries ended since its start. `oldest_seconds`: by group.

    `urgent`: accepted urgent deliveries since its start, by seconds within which they were accepted. `webhooks`: by
    endpoint. `partitions`: it has so many; of a group that reads several topics those of one. `heartbeat_seconds`:
    since the coordinator of one of its groups last called it alive. None: it is no member of a group.
    """

    outcomes: Mapping[str, float]
    oldest_seconds: Mapping[str, float]
    urgent: Mapping[float, float] = {}
    webhooks: Mapping[str, Posting] = {}
    partitions: int | None = None
    heartbeat_seconds: float | None = None


@page_of_figures()
def read_figures(text: str) -> ProcessFigures:
    """From /metrics. Raises ValueError for what is none."""
    lines = [line for line in text.splitlines() if line.startswith(_READ)]
    outcomes: dict[str, float] = {}
    oldest: dict[str, float] = {}
    urgent: dict[float, float] = {}
    webhooks: dict[str, dict[str, float]] = {}
    tries: dict[str, dict[str, float]] = {}
    assigned: dict[str, float] = {}
    heartbeats: list[float] = []
    for family in text_string_to_metric_families("\n".join(lines) + "\n"):
        for sample in family.samples:
            if sample.name == MetricName.OUTCOMES:
                outcome = sample.labels["outcome"]
                outcomes[outcome] = outcomes.get(outcome, 0.0) + sample.value
            elif sample.name == MetricName.OLDEST_UNFINISHED:
                group = sample.labels["group"]
                oldest[group] = max(sample.value, oldest.get(group, 0.0))
            elif sample.name == MetricName.PARTITIONS:
                group = sample.labels["group"]
                assigned[group] = max(sample.value, assigned.get(group, 0.0))
            elif sample.name == MetricName.HEARTBEAT_AGE:
                heartbeats.append(sample.value)
            elif sample.name == _BUCKET and sample.labels["lane"] == Lane.URGENT:
                urgent[float(sample.labels["le"])] = sample.value
            elif sample.name == MetricName.WEBHOOK_REQUESTS:
                tries.setdefault(sample.labels["endpoint"], {})[sample.labels["result"]] = sample.value
            elif sample.name in _WEBHOOKS:
                webhooks.setdefault(sample.labels["endpoint"], {})[sample.name] = sample.value
    postings = {
        name: Posting(
            found.get(MetricName.WEBHOOK_LAG, 0.0), found.get(MetricName.WEBHOOK_AGE, 0.0), tries.get(name, {})
        )
        for name, found in webhooks.items()
    }
    partitions = round(sum(assigned.values())) if assigned else None
    return ProcessFigures(outcomes, oldest, urgent, postings, partitions, max(heartbeats, default=None))


K = TypeVar("K", str, float)


class Growth(Generic[K]):
    """How much the counters of all processes grew, in steps of 5 s over 10 minutes.

    A process that starts again counts from 0 again; one that does not answer adds nothing until it does.
    """

    def __init__(self) -> None:
        self._last: dict[str, Mapping[K, float]] = {}
        self.steps: deque[tuple[int, Mapping[K, float]]] = deque(maxlen=STEPS)

    def add(self, at_ms: int, counters: Mapping[str, Mapping[K, float]]) -> None:
        """Those of one look at all processes, by a name that a process keeps while it lives."""
        step: dict[K, float] = {}
        first = not self._last
        for name, totals in counters.items():
            last = self._last.get(name)
            for key, total in totals.items():
                before = 0.0 if last is None else last.get(key, 0.0)
                if last is not None:  # what it did before it was first seen was not done in this step
                    step[key] = step.get(key, 0.0) + (total - before if total >= before else total)
            self._last[name] = totals
        for gone in self._last.keys() - counters.keys():
            del self._last[gone]
        if not first:  # there was nothing to compare with
            self.steps.append((at_ms, step))


class UrgentSpeed(NamedTuple):
    """How fast urgent deliveries were accepted. `half`, `most`: seconds for 50 and for 99 of 100; infinite: longer than
    is counted."""

    accepted: int
    half: float
    most: float


class SpeedStep(NamedTuple):
    """How fast urgent deliveries were accepted in the half minute until then. `speed` None: none was."""

    at_ms: int
    speed: UrgentSpeed | None


#: Steps that a point of the plot of speeds looks back: with fewer, 99 of 100 would be one delivery.
SPEED_STEPS: Final = 6


class DeliveryRates:
    """Deliveries per second by outcome, and how fast the urgent ones were accepted."""

    def __init__(self) -> None:
        self._outcomes = Growth[str]()
        self._urgent = Growth[float]()

    def add(self, at_ms: int, processes: Mapping[str, ProcessFigures]) -> None:
        """ProcessFigures of one look at all processes, by a name that a process keeps while it lives."""
        self._outcomes.add(at_ms, {name: each.outcomes for name, each in processes.items()})
        self._urgent.add(at_ms, {name: each.urgent for name, each in processes.items()})

    def ends(self) -> list[int]:
        """When each step ended, oldest first."""
        return [at_ms for at_ms, _ in self._outcomes.steps]

    def urgent(self) -> UrgentSpeed | None:
        """Of the last 10 minutes. None: no urgent delivery was accepted, or no reporter counts them."""
        return _speed(step for _, step in self._urgent.steps)

    def speeds(self) -> list[SpeedStep]:
        """One for each step, oldest first."""
        steps = list(self._urgent.steps)
        return [
            SpeedStep(at_ms, _speed(step for _, step in steps[max(0, index - SPEED_STEPS + 1) : index + 1]))
            for index, (at_ms, _) in enumerate(steps)
        ]

    def series(self) -> dict[str, list[float]]:
        """Per second, by outcome, in the order of the outcomes."""
        found: dict[str, list[float]] = {str(outcome): [] for outcome in Outcome}
        before: int | None = None
        for at_ms, step in self._outcomes.steps:
            seconds = STEP_SECONDS if before is None else max(0.001, (at_ms - before) / 1000)
            for outcome, values in found.items():
                values.append(step.get(outcome, 0.0) / seconds)
            before = at_ms
        return found


def _speed(steps: Iterable[Mapping[float, float]]) -> UrgentSpeed | None:
    within: Counter[float] = Counter()
    for step in steps:
        within.update(step)
    accepted = round(within[math.inf])
    return UrgentSpeed(accepted, quantile(within, 0.5), quantile(within, 0.99)) if accepted else None


def oldest_of(processes: Iterable[ProcessFigures], lane: str) -> float | None:
    """Seconds that the oldest unfinished record of a lane's groups waits. None: no process has such a group."""
    found = [
        seconds for each in processes for group, seconds in each.oldest_seconds.items() if group.endswith(f"-{lane}")
    ]
    return max(found, default=None)
