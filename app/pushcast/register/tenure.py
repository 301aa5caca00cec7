"""What REGISTER holds of one partition of the devices topic while it owns it, over all its sources."""

from __future__ import annotations

import math
from collections.abc import Callable

from pushcast.model.device import DeviceRow
from pushcast.model.user import UserRow
from pushcast.register.gate import RowGate
from pushcast.register.holds import HoldQueue
from pushcast.register.sweep import Sweep
from pushcast.stream.completions import Completions
from pushcast.stream.overlay import Overlay
from pushcast.stream.runner import Runner
from pushcast.stream.tenure import Pending

Headers = list[tuple[str, bytes | None]]
#: What the devices topic holds: of a device, or of a user.
Row = DeviceRow | UserRow
Running = Callable[["RegisterTenure"], Runner]


class RegisterTenure:
    """Rows in flight, records that wait for them, suspensions that wait for their end, void rows that were healed."""

    def __init__(
        self,
        number: int,
        headers: Headers,
        overlay: Overlay[Row],
        *,
        holding: Running,
        healing: Running,
        sweeping: Running,
    ) -> None:
        self.number = number  # of the partition
        self.headers = headers  # of every row of this partition and claim
        self.overlay = overlay
        self.gate = RowGate()
        self.completions = Completions()
        self.holds = HoldQueue()
        self.healed: dict[bytes, int] = {}  # offsets of void rows that were overwritten, by key
        self.sweep = Sweep(math.inf)
        self.holding = holding(self)  # ends suspensions
        self.healing = healing(self)  # overwrites void rows
        self.sweeping = sweeping(self)  # ends rows whose time has come

    @property
    def pending(self) -> Pending:
        """Parts of batches whose rows Kafka has not acknowledged."""
        return self.completions.pending

    def close(self) -> None:
        """Ends no suspension any more, heals and sweeps nothing: the next owner does."""
        self.holding.stop()
        self.healing.stop()
        self.sweeping.stop()
