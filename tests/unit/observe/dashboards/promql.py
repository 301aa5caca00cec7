"""What an expression names, as promql-parser reads it: the judge of dashboards and rules."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import promql_parser as promql

from pushcast.observe.catalogue import CATALOGUE
from pushcast.observe.dashboards.burning import SHARES, WINDOWS, late_ratio

#: What Prometheus or its Python client adds, and what our own rules record.
FOREIGN = {"process_start_time_seconds", "up"}
#: Labels that Prometheus adds to every target.
TARGET_LABELS = {"instance", "job"}


def series() -> dict[str, set[str]]:
    """Every series that our processes export, with its labels."""
    found: dict[str, set[str]] = {}
    for metric in CATALOGUE:
        labels = set(map(str, metric.labels))
        if metric.kind == "histogram":
            found |= {f"{metric.name}_bucket": {*labels, "le"}, f"{metric.name}_sum": labels}
            found[f"{metric.name}_count"] = labels
        else:
            found[str(metric.name)] = labels
    return found | {late_ratio(window, name): set(by.split(", ")) for name, by in SHARES.items() for window in WINDOWS}


def selectors(expression: str) -> Iterator[tuple[str, set[str]]]:
    """(series, labels that it is chosen by) of each selector. Raises ValueError for what is no PromQL."""
    for node in _walk(promql.parse(expression)):
        if isinstance(node, promql.VectorSelector):
            yield node.name or "", {matcher.name for matcher in node.matchers.matchers}


def groupings(expression: str) -> Iterator[tuple[set[str], set[str]]]:
    """(labels that an aggregation keeps, series inside it) of each `by`."""
    for node in _walk(promql.parse(expression)):
        if isinstance(node, promql.AggregateExpr) and node.modifier is not None:
            inside = {each.name or "" for each in _walk(node.expr) if isinstance(each, promql.VectorSelector)}
            yield set(node.modifier.labels), inside


def _walk(node: Any) -> Iterator[Any]:
    yield node
    if isinstance(node, promql.MatrixSelector):
        yield from _walk(node.vector_selector)
    for name in ("expr", "lhs", "rhs"):
        if (inner := getattr(node, name, None)) is not None:
            yield from _walk(inner)
    for inner in getattr(node, "args", ()):
        yield from _walk(inner)


def unknown(expression: str, recorded: dict[str, set[str]] | None = None) -> list[str]:
    """What the expression names and nobody exports, a sentence each."""
    known = {**series(), **(recorded or {})}
    found = []
    for name, labels in selectors(expression):
        if name not in known:
            found += [] if name in FOREIGN else [f"there is no series {name}"]
        else:
            found += [f"{name} has no label {label}" for label in sorted(labels - known[name] - TARGET_LABELS)]
    for kept, inside in groupings(expression):
        for name in sorted(inside & known.keys()):
            found += [f"{name} has no label {label}" for label in sorted(kept - known[name] - TARGET_LABELS)]
    return found
