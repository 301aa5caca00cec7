"""The one order in which a notification is judged: by planners at every pass, by the keeper when it lets go, and for
work that is retried or parked. Pure.

valid, duplicate: before it comes here. Then cancelled, forgotten, expired, preference, read, not due yet, no devices,
digest, quiet hours, cap, pace; then the window. The first gate that does not let it pass decides. Caps come after quiet
hours: a slot is taken when it is used, not when it is held.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple

from pushcast.model.notification import Notification
from pushcast.model.quiet import Quiet
from pushcast.model.words import Outcome, Reason


class Ends(NamedTuple):
    """It ends here, without a delivery."""

    outcome: Outcome
    reason: Reason


class GateWaits(NamedTuple):
    """The keeper has it from here. `until_ms`: when it is let go; None: the keeper decides that."""

    reason: Reason
    until_ms: int | None = None


#: None: it passes.
Verdict = Ends | GateWaits | None

CANCELLED: Final = Ends(Outcome.CANCELLED, Reason.CANCELLED)
FORGOTTEN: Final = Ends(Outcome.CANCELLED, Reason.USER_FORGOTTEN)
EXPIRED: Final = Ends(Outcome.EXPIRED, Reason.EXPIRED)
READ: Final = Ends(Outcome.SUPPRESSED, Reason.READ)
NO_DEVICES: Final = Ends(Outcome.SUPPRESSED, Reason.NO_DEVICES)
IN_QUIET_HOURS: Final = Ends(Outcome.SUPPRESSED, Reason.QUIET_HOURS)


class Override(StrEnum):
    """Gates that an event passes when it says so and its class allows it."""

    QUIET_HOURS = "quiet_hours"
    FREQUENCY_CAP = "frequency_cap"


class KnownNote(NamedTuple):
    """What one pass knows of a notification. Times are milliseconds since the epoch.

    A planner cannot know what the keeper does. It says `asks_reader`, `digest`, `capped` or `paced`, and the keeper
    says what it found when it lets go; none of them is said again of what the keeper has let go.
    """

    now_ms: int
    now_or_never_ms: int
    cancelled: bool = False
    forgotten: bool = False  # the user was, after it was written
    unwanted: Reason | None = None  # by the user's preferences, in all apps that it is for
    is_read: bool = False
    asks_reader: bool = False  # only the keeper knows whether it was read
    due_ms: int = 0  # not before
    waits_for: Reason = Reason.SCHEDULED  # why it is not due yet
    has_devices: bool = True
    digest: bool = False  # it joins a digest
    quiet: Quiet = Quiet.IGNORE
    quiet_until_ms: int | None = None  # all its devices are in quiet hours, the first of them until then
    capped: bool = False  # a cap of the user counts it
    paced: bool = False


def judge(note: Notification, known: KnownNote) -> Verdict:
    """The verdict of the first gate that does not let it pass."""
    if known.cancelled:
        return CANCELLED
    if known.forgotten:
        return FORGOTTEN
    if note.is_over(known.now_ms, known.now_or_never_ms):
        return EXPIRED
    if known.unwanted is not None:
        return Ends(Outcome.SUPPRESSED, known.unwanted)
    if known.is_read:
        return READ
    if known.asks_reader and known.due_ms <= known.now_ms:
        return GateWaits(Reason.READ_GATE, known.now_ms)
    if known.due_ms > known.now_ms:
        return GateWaits(known.waits_for, known.due_ms)
    if not known.has_devices:
        return NO_DEVICES
    if known.digest:
        return GateWaits(Reason.DIGEST)
    if known.quiet_until_ms is not None:
        verdict = in_quiet_hours(known.quiet, known.quiet_until_ms, note.expires_at)
        if verdict is not None:
            return verdict
    if known.capped:
        return GateWaits(Reason.FREQUENCY_CAP)
    if known.paced:
        return GateWaits(Reason.PACE)
    return None


def in_quiet_hours(quiet: Quiet, until_ms: int, expires_at: int) -> Verdict:
    """What becomes of a delivery in quiet hours that end then. A hold lengthens no expiry: what would expire before
    they are over ends at once."""
    if quiet is Quiet.DROP:
        return IN_QUIET_HOURS
    if quiet not in (Quiet.HOLD, Quiet.DIGEST):
        return None
    if until_ms >= expires_at:
        return Ends(Outcome.EXPIRED, Reason.QUIET_HOURS)
    return GateWaits(Reason.QUIET_HOURS, until_ms)
