"""Void rows, which fenced-off owners wrote behind a successor's fence: compaction would keep such a row instead of the
timer that waits. They are overwritten with what counts."""

from __future__ import annotations

import logging

from pushcast.handover.healing import left_to_heal
from pushcast.keep.ports import KeepPorts
from pushcast.keep.rows import Rows
from pushcast.keep.tenure import KeepTenure

logger = logging.getLogger(__name__)


class KeepHealing:
    """Of all partitions of one stage."""

    def __init__(self, ports: KeepPorts, rows: Rows) -> None:
        self._rows = rows
        self._table = ports.table
        self._outbox = ports.outbox
        self._count = ports.count

    def unhealed(self, tenure: KeepTenure) -> dict[bytes, int]:
        """Offsets of void rows that are not overwritten yet, by key."""
        return left_to_heal(tenure, self._table.void(tenure.number))

    def heal(self, tenure: KeepTenure) -> None:
        """Overwrites them all. It does not wait for the outbox."""
        unhealed = self.unhealed(tenure)
        if not unhealed:
            return
        logger.warning("keep: %d void rows in partition %d are overwritten", len(unhealed), tenure.number)
        barrier = self._outbox.barrier()
        for key in unhealed:
            self._rows.overwrite(tenure, barrier, key)
        tenure.healed.update(unhealed)
        self._count("void_timers", "healed", len(unhealed))
        barrier.on_acked(lambda: None)  # a refusal ends the process: the log would stay wrong
