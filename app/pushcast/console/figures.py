"""What the processes' figures amount to: deliveries per second of the last minutes, and what waits. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from prometheus_client.parser import text_string_to_metric_families

from pushcast.model.words import Outcome
from pushcast.observe.catalogue import MetricName

STEP_SECONDS: Final = 5.0
STEPS: Final = 120
_READ: Final = (MetricName.OUTCOMES, MetricName.OLDEST_UNFINISHED)


class ProcessFigures(NamedTuple):
    """Of one process. `outcomes`: deliveries ended since its start. `oldest_seconds`: by group."""

    outcomes: Mapping[str, float]
    oldest_seconds: Mapping[str, float]


def read_figures(text: str) -> ProcessFigures:
    """From /metrics. Raises ValueError for what is none."""
    lines = [line for line in text.splitlines() if line.startswith(_READ)]
    outcomes: dict[str, float] = {}
    oldest: dict[str, float] = {}
    for family in text_string_to_metric_families("\n".join(lines) + "\n"):
        for sample in family.samples:
            if sample.name == MetricName.OUTCOMES:
                outcome = sample.labels["outcome"]
                outcomes[outcome] = outcomes.get(outcome, 0.0) + sample.value
            elif sample.name == MetricName.OLDEST_UNFINISHED:
                group = sample.labels["group"]
                oldest[group] = max(sample.value, oldest.get(group, 0.0))
    return ProcessFigures(outcomes, oldest)


class DeliveryRates:
    """Deliveries per second by outcome, in steps of 5 s over 10 minutes.

    A process that starts again counts from 0 again; one that does not answer adds nothing until it does.
    """

    def __init__(self) -> None:
        self._last: dict[str, Mapping[str, float]] = {}
        self._steps: deque[tuple[int, Mapping[str, float]]] = deque(maxlen=STEPS)

    def add(self, at_ms: int, processes: Mapping[str, ProcessFigures]) -> None:
        """Figures of one look at all processes, by a name that a process keeps while it lives."""
        step: dict[str, float] = {}
        first = not self._last
        for name, figures in processes.items():
            last = self._last.get(name)
            for outcome, total in figures.outcomes.items():
                before = 0.0 if last is None else last.get(outcome, 0.0)
                if last is not None:  # what it did before it was first seen was not done in this step
                    step[outcome] = step.get(outcome, 0.0) + (total - before if total >= before else total)
            self._last[name] = figures.outcomes
        for gone in self._last.keys() - processes.keys():
            del self._last[gone]
        if not first:  # there was nothing to compare with
            self._steps.append((at_ms, step))

    def ends(self) -> list[int]:
        """When each step ended, oldest first."""
        return [at_ms for at_ms, _ in self._steps]

    def series(self) -> dict[str, list[float]]:
        """Per second, by outcome, in the order of the outcomes."""
        found: dict[str, list[float]] = {str(outcome): [] for outcome in Outcome}
        before: int | None = None
        for at_ms, step in self._steps:
            seconds = STEP_SECONDS if before is None else max(0.001, (at_ms - before) / 1000)
            for outcome, values in found.items():
                values.append(step.get(outcome, 0.0) / seconds)
            before = at_ms
        return found


def oldest_of(processes: Iterable[ProcessFigures], lane: str) -> float | None:
    """Seconds that the oldest unfinished record of a lane's groups waits. None: no process has such a group."""
    found = [
        seconds for each in processes for group, seconds in each.oldest_seconds.items() if group.endswith(f"-{lane}")
    ]
    return max(found, default=None)
