"""Figures as the transport gives them."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Partition:
    topic: str = "push.receipt.v1"
    partition: int = 0
    lag_records: int | None = 0
    oldest_unfinished_at_ms: int | None = None
    in_flight_records: int = 0
    in_flight_bytes: int = 0
    in_flight_targets: int = 0
    paused: bool = False
    waits_for: str | None = None


@dataclass(frozen=True)
class Group:
    name: str = "pushcast-report"
    assigned: bool = True
    recovered: bool = True
    partitions: list[Partition] = field(default_factory=list)
    last_heartbeat_at: float = 0.0
    problems: list[str] = field(default_factory=list)
    earlier: dict[str, int] = field(default_factory=dict)
    jumped: dict[str, int] = field(default_factory=dict)
    held_seconds: dict[str, float] = field(default_factory=dict)
