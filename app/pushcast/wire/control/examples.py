"""Which single deliveries are asked for as examples: what doors ask reporters, as JSON. Pure."""

from __future__ import annotations

from typing import Final

import msgspec

MAX_EXAMPLES: Final = 100


class ExampleFilter(msgspec.Struct, frozen=True):
    """None, or no ids: any. Times are of creation, milliseconds since the epoch."""

    from_ms: int
    to_ms: int
    notes: list[str] = []
    apps: list[str] | None = None
    platform: str | None = None
    outcome: str | None = None
    reason: str | None = None
    slower_than_ms: int | None = None  # accepted so long after they were due, or longer

    def needle(self) -> bytes:
        """Bytes that the row of such a delivery holds: most others need not be decoded."""
        if self.reason:
            return self.reason.encode()
        return self.notes[0].encode() if len(self.notes) == 1 else b""
