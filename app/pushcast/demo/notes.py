"""One event of the demo's load."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Note:
    """One notification event. Events of one campaign share `content` and their time; others have their own."""

    user: str
    lane: str
    content: int  # number of the content: equal numbers have equal bodies
    event: dict[str, Any]
    due_in_seconds: float = 0.0
    cancelled: bool = False  # as soon as it is written
    arrives: bool = True  # False: as a part of a digest, or not at all
