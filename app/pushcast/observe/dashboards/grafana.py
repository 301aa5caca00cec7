"""What Grafana calls a dashboard, as JSON: only the fields that it does not fill in by itself. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pushcast.observe.catalogue import BY_NAME, Metric, MetricName

#: What `rate()` looks back in panels; Grafana fits it to the zoom.
WINDOW: Final = "$__rate_interval"
_SOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
_UNITS: Final = {"seconds": "s", "bytes": "bytes"}
_WIDTH, _HEIGHT, _COLUMNS = 8, 7, 24  # of Grafana's grid


@dataclass(frozen=True, slots=True)
class Panel:
    """One plot. `metric` gives description and unit; `expression` is PromQL."""

    title: str
    metric: MetricName
    expression: str
    unit: str = ""  # Grafana's word, where the expression has another unit than the metric
    legend: str = "__auto"


@dataclass(frozen=True, slots=True)
class PanelRow:
    """Panels under one heading."""

    title: str
    panels: Sequence[Panel]


@dataclass(frozen=True, slots=True)
class Board:
    """One dashboard; `name` is its file and its uid."""

    name: str
    title: str
    rows: Sequence[PanelRow]
    choices: Sequence[str] = ()  # labels of `pushcast_outcomes_total` by which a reader may choose


def plot_of(metric: Metric) -> Panel:
    """The plot that every metric has: counters as a rate, histograms as their p99, gauges as they are."""
    by = f" by ({', '.join(metric.labels)})" if metric.labels else ""
    if metric.kind == "counter":
        return Panel(metric.name, metric.name, f"sum{by} (rate({metric.name}[{WINDOW}]))", unit="cps")
    if metric.kind == "histogram":
        within = ", ".join(("le", *metric.labels))
        rate = f"sum by ({within}) (rate({metric.name}_bucket[{WINDOW}]))"
        return Panel(f"{metric.name}, p99", metric.name, f"histogram_quantile(0.99, {rate})")
    if metric.name == MetricName.READY:
        return Panel(metric.name, metric.name, f"min{by} ({metric.name})")  # one process that is not, shows
    largest = metric.unit in ("seconds", "0 or 1")
    return Panel(metric.name, metric.name, f"{'max' if largest else 'sum'}{by} ({metric.name})")


def render(board: Board) -> dict[str, Any]:
    """The JSON that Grafana imports or provisions."""
    return {
        "uid": f"pushcast-{board.name}",
        "title": board.title,
        "tags": ["pushcast"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": [_datasource(), *map(_choice, board.choices)]},
        "panels": list(_panels(board.rows)),
    }


def _panels(rows: Sequence[PanelRow]) -> Iterable[dict[str, Any]]:
    number, y = 0, 0
    for row in rows:
        number += 1
        at = {"h": 1, "w": _COLUMNS, "x": 0, "y": y}
        yield {"id": number, "type": "row", "title": row.title, "collapsed": False, "gridPos": at, "panels": []}
        y += 1
        for place, panel in enumerate(row.panels):
            number += 1
            line, column = divmod(place, _COLUMNS // _WIDTH)
            yield _panel(number, panel, {"h": _HEIGHT, "w": _WIDTH, "x": column * _WIDTH, "y": y + line * _HEIGHT})
        y += -(-len(row.panels) // (_COLUMNS // _WIDTH)) * _HEIGHT


def _panel(number: int, panel: Panel, at: dict[str, int]) -> dict[str, Any]:
    metric = BY_NAME[panel.metric]
    return {
        "id": number,
        "type": "timeseries",
        "title": panel.title,
        "description": f"{metric.meaning}\n\nWhat to do: {metric.remedy}",
        "datasource": _SOURCE,
        "gridPos": at,
        "fieldConfig": {
            "defaults": {"unit": panel.unit or _UNITS.get(metric.unit, "short"), "min": 0},
            "overrides": [],
        },
        "targets": [{"refId": "A", "datasource": _SOURCE, "expr": panel.expression, "legendFormat": panel.legend}],
    }


def _datasource() -> dict[str, Any]:
    return {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Data source"}


def _choice(label: str) -> dict[str, Any]:
    question = f"label_values({MetricName.OUTCOMES}, {label})"
    return {
        "name": label,
        "type": "query",
        "label": label,
        "datasource": _SOURCE,
        "query": {"query": question, "refId": label},
        "refresh": 2,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
    }
