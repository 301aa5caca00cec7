"""Puts a settler together from the settings."""

from __future__ import annotations

from collections import Counter

from pushcast.config.settings import Settings
from pushcast.kafka.batch import Bounds
from pushcast.kafka.fatal import end_process
from pushcast.kafka.ports import CallLater, Fatal, Outbox
from pushcast.model.clock import Clock, SystemClock
from pushcast.settle.agent import RUNGS, Counters, SettleStage
from pushcast.wire.retries import Ladder, rungs_of

_MEMORY_BYTES = 64 << 20
#: Of one fetch answer per partition; a larger record still comes, alone.
FETCH_BYTES = 256 << 10


def build(
    settings: Settings,
    outbox: Outbox,
    *,
    clock: Clock | None = None,
    counters: Counters | None = None,
    fatal: Fatal = end_process,
    call_later: CallLater | None = None,
) -> SettleStage:
    """The stage for `RUNGS` in the group `GROUP`."""
    retry = settings.retry
    return SettleStage(
        outbox=outbox,
        clock=clock or SystemClock(),
        longest_seconds=Ladder(rungs_of(retry.rungs_seconds), retry.attempts, retry.jitter).longest_seconds,
        counters=Counter() if counters is None else counters,
        fatal=fatal,
        call_later=call_later,
    )


def bounds(settings: Settings) -> Bounds:
    """Of each partition of each rung: together 64 MB while there are few, and one fetch answer on top of each."""
    partitions = len(RUNGS) * settings.kafka.partitions
    return Bounds(records=2_000, bytes=max(128 << 10, _MEMORY_BYTES // partitions))
