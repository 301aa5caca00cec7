"""Puts a settler together from the settings."""

from __future__ import annotations

from collections import Counter

from pushcast.config.settings import Settings
from pushcast.handover.exact import Exactness
from pushcast.model.clock import Clock, SystemClock
from pushcast.settle.agent import SettleStage
from pushcast.settle.outputs import Counters
from pushcast.settle.passes import Intervals
from pushcast.settle.reads import SOURCES
from pushcast.settle.recheck import Recheck
from pushcast.stream.batch import Bounds
from pushcast.stream.cancelling import Cancels
from pushcast.stream.fatal import end_process
from pushcast.stream.ports import CallLater, Fatal, Outbox
from pushcast.wire.control.control_state import ControlState
from pushcast.wire.sending.retries import Ladder, rungs_of

_MEMORY_BYTES = 64 << 20
#: Of one fetch answer per partition; a larger record still comes, alone.
FETCH_BYTES = 256 << 10


def build(
    settings: Settings,
    outbox: Outbox,
    *,
    exact: Exactness,
    clock: Clock | None = None,
    counters: Counters | None = None,
    fatal: Fatal = end_process,
    call_later: CallLater | None = None,
    control: ControlState | None = None,
    cancels: Cancels | None = None,
    recheck: Recheck | None = None,
) -> SettleStage:
    """The stage for `SOURCES` in the group `GROUP`. `control`: the process's own, kept up to date by its tail."""
    retry = settings.retry
    return SettleStage(
        outbox=outbox,
        exact=exact,
        clock=clock or SystemClock(),
        longest_seconds=Ladder(rungs_of(retry.rungs_seconds), retry.attempts, retry.jitter).longest_seconds,
        counters=Counter() if counters is None else counters,
        fatal=fatal,
        call_later=call_later,
        control=control,
        intervals=Intervals(settings.park.pass_seconds, settings.park.probe_seconds),
        flood=settings.flood,
        schema_generation=settings.schemas.write,
        cancels=cancels,
        recheck=recheck,
        quiet_spread_ms=round(settings.keep.quiet_release_spread_seconds * 1000),
    )


def bounds(settings: Settings) -> Bounds:
    """Of each partition of each source: together 64 MB while there are few, and one fetch answer on top of each."""
    partitions = len(SOURCES) * settings.kafka.partitions
    return Bounds(records=2_000, bytes=max(128 << 10, _MEMORY_BYTES // partitions))
