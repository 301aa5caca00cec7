"""What OWN holds of one partition of the claims while it owns it."""

from __future__ import annotations

from collections.abc import Callable

from pushcast.own.fresh import KnownMark
from pushcast.stream.completions import Completions
from pushcast.stream.overlay import Overlay
from pushcast.stream.runner import Runner
from pushcast.stream.tenure import Pending
from pushcast.wire.headers import Headers


class OwnTenure:
    """TokenMarks in flight, claims that wait for them, void rows that were healed, and where the sweep is."""

    def __init__(
        self,
        number: int,
        origin: Headers,
        overlay: Overlay[KnownMark],
        *,
        healing: Callable[[OwnTenure], Runner],
        sweeping: Callable[[OwnTenure], Runner],
    ) -> None:
        self.number = number  # of the partition
        self.origin = (
            origin  # headers of every row of this partition and claim: there is one of each token, so no others
        )
        self.overlay = overlay
        self.completions = Completions()
        self.healed: dict[bytes, int] = {}
        self.healing = healing(self)  # overwrites void rows
        self.newest_at = 0  # Kafka's time of the newest claim, milliseconds; 0: none has come
        self.sweep_due = 0.0  # seconds of the monotonic clock
        self.sweep_cursor = b""
        self.sweeping = sweeping(self)  # ends marks of vacant tokens

    @property
    def pending(self) -> Pending:
        """Parts of batches whose rows Kafka has not acknowledged."""
        return self.completions.pending

    def close(self) -> None:
        """Heals and sweeps nothing any more: the next owner does."""
        self.healing.stop()
        self.sweeping.stop()
