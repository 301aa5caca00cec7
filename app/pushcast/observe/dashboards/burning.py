"""Which share of the deliveries is late, and from when on that is too much, as Prometheus computes it."""

from __future__ import annotations

from typing import Final

from pushcast.observe.catalogue import MetricName as Name

#: The share of late deliveries over these windows is recorded.
WINDOWS: Final = ("2m", "5m", "10m", "30m", "1h", "6h", "3d")
#: What alerts look at must be more than a handful.
LEAST_PLANNED: Final = 100


#: Whose share is recorded, and under which name.
SHARES: Final = {"late_ratio": "app, class", "class_late_ratio": "class"}


def late_ratio(window: str, name: str = "late_ratio") -> str:
    """Name of the recorded share, by app and class; `class_late_ratio`: by class."""
    return f"pushcast:{name}:{window}"


def late_expression(window: str, by: str = "app, class") -> str:
    """The share itself."""
    late, planned = (f"sum by ({by}) (increase({name}[{window}]))" for name in (Name.SLO_LATE, Name.SLO_PLANNED))
    return f"{late} / {planned}"


def burning(*limits: tuple[float, str, str]) -> str:
    """More than this share is late over a long and a short window, by any of these limits: of an app's class, or, where
    none of its apps is told by any limit, of the class. The short window ends the alert soon after the fault."""
    of_apps, of_classes = (" or ".join(_burning(*limit, name, by) for limit in limits) for name, by in SHARES.items())
    return f"({of_apps} or (({of_classes}) unless on (class) ({of_apps})))"


def _burning(threshold: float, long: str, short: str, name: str, by: str) -> str:
    enough = f"sum by ({by}) (increase({Name.SLO_PLANNED}[{long}])) > {LEAST_PLANNED}"
    shares = (f"{late_ratio(window, name)} >= {threshold:g}" for window in (long, short))
    return f"({' and '.join(shares)} and {enough})"


def thresholds(target: float) -> tuple[float, float, float, float]:
    """Shares of late deliveries for 10 minutes, an hour (page), 6 hours and 3 days (ticket).

    The usual 14.4 times the budget, but never more than a half and 0.3: a target of 0.9 has a budget of 0.1, and no
    share is above 1.
    """
    budget = 1 - target
    return min(14.4 * budget, 0.5), min(14.4 * budget, 0.3), min(2 * budget, 0.2), min(budget, 0.1)
