"""Notifications that Pushcast makes itself: their classes, and the ids that producers may not use."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class OwnClass(StrEnum):
    """Classes that no configuration has: neither preference nor quiet hours nor a cap holds them up."""

    REMOVE = "remove"  # takes back what a device shows
    BADGE = "badge"  # puts the number on an icon right


#: How long one lives from when it is due.
OWN_TTL_SECONDS: Final = 3_600
#: Of the canaries, which reporters send (`report/canary.py`).
CANARY_ID: Final = "canary-"
CANARY_USER: Final = "canary:"
#: Ids that begin with one of these are ours.
RESERVED_ID_PREFIXES: Final = ("remove:", "badge:", "digest:", CANARY_ID)


def is_canary(note_id: str, user: str) -> bool:
    """Whether a notification is one of a reporter's canaries; such users are refused at the gateway."""
    return note_id.startswith(CANARY_ID) and user.startswith(CANARY_USER)
