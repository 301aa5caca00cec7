"""Dead letters as lines for people. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from pushcast.cli.output import counted


def table(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """A line for each topic, reason and app, and one for all."""
    counts = ("letters", "redriven", "came_back", "deliveries")
    width = max((len(row["topic"]) for row in rows), default=0)
    reasons = max((len(row["reason"]) for row in rows), default=0)
    heads = f"{'letters':>8} {'redriven':>9} {'came back':>9} {'deliveries':>10}"
    yield f"{heads}  {'topic':{width}}  {'reason':{reasons}}  app, first seen"
    for row in rows:
        yield (
            f"{row['letters']:>8,} {row['redriven']:>9,} {row['came_back']:>9,} {row['deliveries']:>10,}  "
            f"{row['topic']:{width}}  {row['reason']:{reasons}}  {row['app'] or '-'}, "
            f"{_time(row['oldest_at'])} to {_time(row['newest_at'])}"
        )
    letters, redriven, back, deliveries = (sum(row[name] for row in rows) for name in counts)
    yield f"{letters:>8,} {redriven:>9,} {back:>9,} {deliveries:>10,}  in all"


def paragraph(row: dict[str, Any]) -> Iterator[str]:
    """One letter: where it was, why it is there, whose it is."""
    source = row["source"]
    yield f"{row['topic']}[{row['partition']}]@{row['offset']}  {row['reason']}: {row['message'] or ''}"
    yield (
        f"    from {source['topic']}[{source['partition']}]@{source['offset']}, {_time(row['first_seen_at'])}, "
        f"stage {row['stage'] or '-'}, {counted(row['attempts'] or 1, 'attempt')}, headers of {row['family']}"
    )
    if row["redriven_from"] is not None:
        yield f"    came back after a redrive of {row['redriven_from']}"
    if row["redriven"]:
        yield "    was redriven"
    for delivery in row.get("deliveries", []):
        yield f"    {delivery['app']} {delivery['user']} {delivery['device']}: {delivery['notification']}"
    if "event" in row:
        event = row["event"] or {}
        named = ", ".join(f"{name} {event[name]}" for name in ("id", "app", "class", "device") if event.get(name))
        yield f"    user {row['user'] or '-'}: {named or 'its value cannot be read'}"


def _time(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
