"""What the table and acknowledgements say: the time, whether rows count, and what may leave therefore."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from pushcast.keep.ports import KeepPorts
from pushcast.keep.release import Release
from pushcast.keep.tenure import KeepTenure, OpenedTimer
from pushcast.stream.batch import TP
from pushcast.stream.ports import Acked, Barrier, CountingOutbox
from pushcast.stream.table import AppliedRecord
from pushcast.stream.tenure import Tenures
from pushcast.wire import topics


class Heard:
    """Of all partitions of one stage. It hears nothing of one that is not its process's."""

    def __init__(self, ports: KeepPorts, release: Release, tenures: Tenures[KeepTenure]) -> None:
        self._table = ports.table
        self._exact = ports.exact
        self._count = ports.count
        self._acked = ports.outbox.acked if isinstance(ports.outbox, CountingOutbox) else None
        self._release = release
        self._tenures = tenures
        ports.table.on_applied(self._applied)
        ports.table.on_void(self._found_void)

    def tell_of(self, tenure: KeepTenure, barrier: Barrier) -> None:
        """Urgent timers that were opened with this barrier may leave when Kafka has their rows."""
        if tenure.opened:
            opened, tenure.opened = tenure.opened, []
            barrier.on_acked(partial(self._acknowledged, tenure, opened))

    def _acknowledged(self, tenure: KeepTenure, opened: Sequence[OpenedTimer]) -> None:
        """Those whose rows count leave at once; the table reads the rows later."""
        acked = self._of_table(tenure.number)
        if acked is None or tenure.closed or not tenure.unbroken.reaches(acked):
            return
        if acked.stamped_ms > 0:
            tenure.time.heard(acked.stamped_ms)
        self._release.at_once(tenure, opened)

    def _applied(self, partition: int, records: Sequence[AppliedRecord]) -> None:
        if (tenure := self._tenures.get(TP(topics.USER, partition))) is not None:
            ours = tenure.overlay.applied(records)
            stamped_ms = records[-1].timestamp if records else 0
            acked = self._of_table(partition)
            if acked is not None:
                is_ours = self._table.fenced(partition) == self._exact.firings(partition).epoch
                tenure.unbroken.applied(acked, self._table.position(partition), is_ours=is_ours)
                stamped_ms = max(stamped_ms, acked.stamped_ms) if records else 0
            if stamped_ms > 0:
                tenure.time.heard(stamped_ms)
            self._release.applied(tenure, len(records), ours)

    def _of_table(self, partition: int) -> Acked | None:
        return None if self._acked is None else self._acked(topics.USER, partition)

    def _found_void(self, partition: int, count: int) -> None:
        self._count("void_timers", "found", count)
        if (tenure := self._tenures.get(TP(topics.USER, partition))) is not None:
            tenure.runner.wake()
