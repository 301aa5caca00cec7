"""How a timer ends that is not sent: the word in its row and on its due record, and what the planner makes of it."""

from __future__ import annotations

from typing import Final, NamedTuple

from pushcast.model.words import Outcome, Reason


class Closing(NamedTuple):
    """`outcome` None: it is planned to nothing, without a receipt."""

    outcome: Outcome | None
    reason: Reason


EXPIRED_DIGEST: Final = "expired/digest"
EXPIRED_CAP: Final = "expired/frequency_cap"
#: By the word.
CLOSINGS: Final = {
    Reason.DUPLICATE.value: Closing(None, Reason.DUPLICATE),
    Reason.CANCELLED.value: Closing(Outcome.CANCELLED, Reason.CANCELLED),
    Reason.SUPERSEDED.value: Closing(Outcome.SUPPRESSED, Reason.SUPERSEDED),
    Reason.USER_FORGOTTEN.value: Closing(Outcome.CANCELLED, Reason.USER_FORGOTTEN),
    Reason.READ.value: Closing(Outcome.SUPPRESSED, Reason.READ),
    Reason.TOO_MANY.value: Closing(Outcome.REJECTED, Reason.TOO_MANY),
    Reason.DIGESTED.value: Closing(Outcome.SUPPRESSED, Reason.DIGESTED),
    EXPIRED_DIGEST: Closing(Outcome.EXPIRED, Reason.DIGEST),
    Reason.FREQUENCY_CAP.value: Closing(Outcome.SUPPRESSED, Reason.FREQUENCY_CAP),
    Reason.OPTED_OUT.value: Closing(Outcome.SUPPRESSED, Reason.OPTED_OUT),
    EXPIRED_CAP: Closing(Outcome.EXPIRED, Reason.FREQUENCY_CAP),
}
