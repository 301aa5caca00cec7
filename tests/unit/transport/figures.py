"""Figures as the transport gives them, of an App and of a partition where all is well."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pushcast.stream.stage import PartitionState
from pushcast.transport.app_state import AppState

_APP = AppState("pushcast-report", assigned=True, recovered=True, partitions=[], last_heartbeat_at=0.0)
_PARTITION = PartitionState(
    topic="push.receipt.v1",
    partition=0,
    lag_records=0,
    oldest_unfinished_at_ms=None,
    in_flight_records=0,
    in_flight_bytes=0,
    in_flight_targets=0,
    paused=False,
)


def app_state(**changes: Any) -> AppState:
    """Of an App without partitions but for `changes`."""
    return replace(_APP, **changes)


def partition_state(**changes: Any) -> PartitionState:
    """Of a partition with nothing to do but for `changes`."""
    return replace(_PARTITION, **changes)
