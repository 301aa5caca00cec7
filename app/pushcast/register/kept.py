"""Why an event leaves a row as it is."""

from __future__ import annotations

from enum import StrEnum


class Kept(StrEnum):
    """Why an event changes nothing. The words are metric labels."""

    UNCHANGED = "unchanged"  # the row says already what the event says
    OUTDATED = "outdated"  # the row is newer than the event
    UNKNOWN = "unknown"  # there is no row
    OTHER_TOKEN = "other_token"  # noqa: S105 - a reason; the verdict was about a token that the row no longer has
    REGISTERED_LATER = "registered_later"  # after the provider's time: the verdict was about the token's former life
    SUSPENDED = "suspended"  # by an earlier verdict, whose hold decides
    STAGED = "staged"  # nothing is planned for it before its activation, and a lifted suspension would activate it
    DOUBTED = "doubted"  # the provider was not to be believed at that time
    ACTIVE = "active"  # the suspension has ended already: lifted, or registered again
