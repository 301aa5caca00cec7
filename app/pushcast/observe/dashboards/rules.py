"""Alerts as files for Prometheus. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pushcast.observe.catalogue import BY_NAME
from pushcast.observe.dashboards.alerts import RUNBOOK, Alert
from pushcast.observe.dashboards.burning import SHARES, WINDOWS, late_expression, late_ratio


def alert_groups(alerts: Iterable[Alert]) -> dict[str, Any]:
    """A rule file."""
    return {"groups": [{"name": "pushcast", "rules": [_rule(alert) for alert in alerts]}]}


def recorded() -> dict[str, Any]:
    """A rule file with the share of late deliveries over each window."""
    rules = [
        {"record": late_ratio(window, name), "expr": late_expression(window, by)}
        for name, by in SHARES.items()
        for window in WINDOWS
    ]
    return {"groups": [{"name": "pushcast-slo", "rules": rules}]}


def _rule(alert: Alert) -> dict[str, Any]:
    return {
        "alert": alert.name,
        "expr": alert.expression,
        "for": alert.for_,
        "labels": {"severity": alert.severity},
        "annotations": texts(alert),
    }


def texts(alert: Alert) -> dict[str, str]:
    """What people read; Prometheus fills in labels and value."""
    metric = BY_NAME[alert.metric]
    return {
        "summary": alert.summary,
        "description": f"{metric.meaning} {metric.remedy}",
        "runbook": f"{RUNBOOK}#{alert.name.lower()}",
    }
