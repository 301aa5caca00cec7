"""Table changelogs: applied in bulk while recovering, on standby, and as the live tail of a source table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, cast

import faust
from faust.tables.manager import TableManager
from faust.types import TP

from pushcast.stream.tracker import Record
from pushcast.transport.table import SourceTable


class ConsumerPositions(Protocol):
    """The consumer, as far as the end of a log needs it."""

    def assignment(self) -> set[TP]:
        """The assigned partitions."""

    async def position(self, tp: TP) -> int | None:
        """Offset of the next record to be taken; it has passed transaction markers."""


class Recovery:
    """Drives Faust's recovery gate from the fetch loop.

    Faust decides what to recover and from where, and when streams may start; this applies fetched lists as one write
    each and tells the gate when the end is reached. Transaction markers at the end of the log hold no record:
    the consumer's position, not the last record, says that the end is reached (Faust waits for ever there).
    """

    def __init__(self, app: faust.App, consumer: ConsumerPositions) -> None:
        self._app = app
        self._consumer = consumer

    @property
    def _manager(self) -> TableManager:
        return cast(TableManager, self._app.tables)

    def holds(self, tp: TP) -> bool:
        """Whether the topic is a table's changelog."""
        return tp.topic in self._manager._changelogs

    @property
    def recovering(self) -> bool:
        return bool(self._manager.recovery.in_recovery)

    def apply(self, tp: TP, records: list[Record]) -> bool:
        """Applies changelog records, each offset once. False when the topic is no source table."""
        table = self._manager._changelogs.get(tp.topic)
        if not isinstance(table, SourceTable):
            return False
        recovery = self._manager.recovery
        if tp in recovery.active_tps:
            offsets = recovery.active_offsets
        elif tp in recovery.standby_tps:
            offsets = recovery.standby_offsets
        else:
            return True
        seen = offsets.get(tp)
        if seen is not None and records[0].offset <= seen:
            records = [record for record in records if record.offset > seen]
        if records:
            table.apply(tp.partition, records)
            offsets[tp] = records[-1].offset
        tables = self._manager
        if tp in recovery.standby_tps and not tables.standbys_ready and not recovery.standby_remaining_total():
            tables.on_standbys_ready()
        return True

    def drop_beyond(self, ends: Mapping[TP, int | None]) -> None:
        """Drops copies that are ahead of their log; before Faust compares, which it would not survive."""
        recovery = self._manager.recovery
        for tp, end in ends.items():
            table = self._manager._changelogs.get(tp.topic)
            if isinstance(table, SourceTable) and end is not None and table.drop_beyond(tp.partition, end):
                for offsets in (recovery.active_offsets, recovery.standby_offsets):
                    if tp in offsets:
                        offsets[tp] = None  # type: ignore[assignment]  # Faust: nothing is applied yet

    def positions(self) -> dict[TP, int]:
        """Next offset to be applied, of what was read before. Callable from any thread."""
        recovery = self._manager.recovery
        offsets = {tp: recovery.active_offsets.get(tp) for tp in tuple(recovery.active_tps)}
        return {tp: offset + 1 for tp, offset in offsets.items() if offset is not None and offset >= 0}

    def condemn(self, tp: TP) -> None:
        """Has the next start make the copy anew."""
        cast(SourceTable, self._manager._changelogs[tp.topic]).condemn(tp.partition)

    async def check_end(self, got_records: bool) -> None:
        """Opens the gate when nothing remains. Called after every fetch while recovering, until Faust has noticed."""
        recovery = self._manager.recovery
        if not got_records:
            for tp, left in recovery.active_remaining().items():
                if left > 0 and tp in self._consumer.assignment():
                    position = await self._consumer.position(tp)
                    if position is not None and position > recovery.active_highwaters[tp]:
                        recovery.active_offsets[tp] = recovery.active_highwaters[tp]
        if recovery.in_recovery and not recovery.need_recovery():
            recovery.signal_recovery_end.set()
