"""The parts of a keeper's stage, put together."""

from __future__ import annotations

from collections.abc import Callable

from pushcast.keep.broker_time import BrokerTime
from pushcast.keep.campaign_ends import CampaignEnds
from pushcast.keep.census import Census
from pushcast.keep.completing import Completing
from pushcast.keep.configured import KeepRules
from pushcast.keep.due_rows import DueRows, MayHoldBefore
from pushcast.keep.healing import KeepHealing
from pushcast.keep.intake import KeepIntake
from pushcast.keep.joining import Joining
from pushcast.keep.plain_intake import PlainIntake
from pushcast.keep.ports import KeepPorts
from pushcast.keep.read_back import EarlierRecords, ReadBack
from pushcast.keep.release import Release
from pushcast.keep.removing import Removing
from pushcast.keep.rows import Rows
from pushcast.keep.switching import Switching
from pushcast.keep.tenure import KeepTenure, Row
from pushcast.keep.ticking import Ticking
from pushcast.keep.written import WrittenEntries
from pushcast.stream.cancelling import Cancels
from pushcast.stream.overlay import InFlight, Overlay
from pushcast.wire.events.threads import ThreadReader
from pushcast.wire.schemas import SchemaSource


class KeepParts:
    """Of all partitions of one stage; what belongs to one partition is in its tenure."""

    def __init__(
        self,
        ports: KeepPorts,
        asked: KeepRules,
        *,
        cancels: Cancels,
        schemas: SchemaSource | None,
        written: WrittenEntries,
        earlier: EarlierRecords | None,
        held: Callable[[KeepTenure], bool],
        may_hold_before: MayHoldBefore,
    ) -> None:
        """`held`: whether a partition lets nothing go now. `earlier`: what users read; None: it is not read again."""
        clock, count = ports.clock, ports.count
        self._ports = ports
        threads = ThreadReader(schemas)
        self.rows = Rows(ports.table, ports.outbox, written)
        joining = Joining(self.rows, asked.digests, Switching(threads, asked.mandatory))
        self.due_rows = DueRows(ports, self.rows, joining, threads, asked, may_hold_before)
        capping, badging = self.due_rows.capping, self.due_rows.badges
        self.healing = KeepHealing(ports, self.rows)
        self.release = Release(ports, self.rows, self.due_rows, self.healing, asked, held)
        self.completing = Completing(self.rows, capping, badging, count)
        removing = Removing(self.rows, asked.removals, count, lambda: cancels.state.campaigns, badging.removed)
        self.intake = KeepIntake(
            self.rows,
            clock,
            cancels,
            count,
            partitions=asked.partitions,
            schemas=schemas,
            joining=joining,
            removing=removing,
            badging=badging,
            capping=capping,
        )
        self.usual = PlainIntake(self.rows, clock, cancels, count)
        self.ticking = Ticking(ports, self.rows, asked.tzdata)
        self._campaigns = CampaignEnds(ports, self.rows, removing, joining, cancels, threads)
        self._read_back = ReadBack(earlier, clock, ports.fatal, ports.call_later, schemas)
        self._census = Census(ports.table, clock, ports.fatal, asked.outlook, ports.call_later)

    def tenure(self, partition: int, in_flight: InFlight) -> KeepTenure:
        """Of a partition that begins; each part that works by itself has a runner there."""
        clock = self._ports.clock
        return KeepTenure(
            partition,
            self._ports.exact.origin(partition),
            Overlay[Row | bytes](in_flight),
            self.release.runner_of,
            self._census.runner_of,
            self.ticking.runner_of,
            self._campaigns.runner_of,
            self._read_back.runner_of,
            BrokerTime(clock),
            clock.now_ms(),
        )
