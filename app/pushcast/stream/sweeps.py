"""How a stage's sweeps go through its table: in slices, slowly, and once every so often."""

from __future__ import annotations

from typing import Final, NamedTuple

#: Looked at without giving way to the event loop.
SLICE_ROWS: Final = 2_000
#: After an assignment, so that a process which starts has its time for the backlog.
FIRST_SECONDS: Final = 600.0
#: How often a sweep that may not go on looks whether it may.
ASK_SECONDS: Final = 60.0


class SweepPace(NamedTuple):
    """How fast, and how often."""

    rows_per_second: int
    every_seconds: float


DEFAULT_PACE: Final = SweepPace(rows_per_second=2_000, every_seconds=86_400.0)
