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
#: Ids that begin with one of these are ours.
RESERVED_ID_PREFIXES: Final = ("remove:", "badge:", "digest:", "canary-")
