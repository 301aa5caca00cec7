"""Parts of a lane whose arrivals the demo also shows apart, as simulators group them."""

from __future__ import annotations

from typing import Final

_SEPARATOR: Final = "/"


def group_of(lane: str, part: str) -> str:
    """What a simulator counts arrivals under: of the lane, or of one part of it."""
    return f"{lane}{_SEPARATOR}{part}" if part else lane


def lane_and_part(group: str) -> tuple[str, str]:
    """Undoes `group_of`."""
    lane, _, part = group.partition(_SEPARATOR)
    return lane, part
