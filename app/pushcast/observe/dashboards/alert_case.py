"""A course of series and the alert that it fires."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class AlertCase:
    """`series` in promtool's notation, a value each `interval`. At `at` the alert fires once, with `labels` and this
    value in its text, and once more for each labels of `also`; at `quiet_at` it does not."""

    alert: str
    series: Mapping[str, str]
    at: str
    labels: Mapping[str, str] = field(default_factory=dict)
    value: str = ""
    quiet_at: str = "0m"
    interval: str = "1m"  # between two values
    also: Sequence[Mapping[str, str]] = ()
