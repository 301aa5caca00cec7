"""What providers' verdicts change in the rows of one partition: suspensions, and how they end."""

from __future__ import annotations

from typing import Final

from pushcast.model.device import DeviceRow
from pushcast.model.ids import device_row_key
from pushcast.model.words import Reason
from pushcast.register.claims import given_up
from pushcast.register.context import Context
from pushcast.register.kept import Kept
from pushcast.register.removals import gone
from pushcast.register.verdicts import Ending, ending, lifted, suspension
from pushcast.register.view import UserView
from pushcast.register.writing import Writing
from pushcast.stream.batch import Record
from pushcast.wire.answers.receipts import TokenInvalid, encode_token_invalid
from pushcast.wire.headers import appended_at
from pushcast.wire.sealing.seals import KeyUnknown, Place, SealBroken

SUSPENDED: Final = "suspended"
#: Why a suspension was lifted: the provider's breaker opened meanwhile, the push service that was given up answered, or
#: the token was registered later.
BREAKER_OPENED: Final = "breaker_opened"
ENDPOINT_ANSWERED: Final = "endpoint_answered"


class Suspending:
    """Applies verdicts, all outputs under one barrier. It never awaits: reading a row and writing it are one step."""

    def __init__(self, context: Context, write: Writing, view: UserView) -> None:
        self._context = context
        self._counters = context.counters
        self._view = view
        self._write = write

    def suspend(self, record: Record, event: TokenInvalid) -> None:
        """Suspends the row, and tells the hold topic. Raises InvalidInput, then without output; NewerSchema."""
        row, key = self._row_of(event)
        after = suspension(event, row, self._context.doubts.doubted(event.app, event.platform, event.at))
        if isinstance(after, Kept):
            self._counters["kept_tokens", after] += 1
            return
        if after != row:
            self._write.device(record, key, after, "reason", SUSPENDED, event.reason)
            self._counters["suspensions", SUSPENDED] += 1
        # Also when the row is as it is because of this very verdict: its hold may not have been acknowledged.
        self._write.tell(record, encode_token_invalid(event), SUSPENDED, event.reason)

    def end(self, record: Record, event: TokenInvalid) -> None:
        """Ends the suspension by the verdict of this hold record: removes the row, or lifts it when in doubt.

        Does nothing when the row is not suspended by that verdict any more. Raises NewerSchema.
        """
        doubts = self._context.doubts
        row, key = self._row_of(event)
        doubted = doubts.doubted(event.app, event.platform, event.at)
        reached = (
            event.reason == Reason.ENDPOINT_UNREACHABLE
            and row is not None
            and doubts.reached(event.app, self._address(event, row), event.at)
        )
        after = ending(event, row, doubted, reached)
        if isinstance(after, Kept):
            self._counters["holds_over", after] += 1
            return
        assert row is not None  # `ending` ends nothing that is not there
        if after is Ending.REMOVED:
            reason = event.reason
            # The provider's word outranks no later registration: the marker has the row's own time.
            marker = gone(key, row, row.registered_at, appended_at(record) or event.at, reason)
            self._write.gone(record, key, marker, reason, after)
            self._write.claims(record, given_up(key, row))
            self._counters["removals", reason] += 1
        else:
            reason = BREAKER_OPENED if doubted else ENDPOINT_ANSWERED if reached else Kept.REGISTERED_LATER
            self._write.device(record, key, lifted(row), "reason", after, reason)
        self._counters["suspensions", after] += 1
        self._write.tell(record, encode_token_invalid(event), after, reason)

    def _row_of(self, event: TokenInvalid) -> tuple[DeviceRow | None, bytes]:
        key = device_row_key(event.user, event.app, event.device)
        return self._view.device(event.user.encode(), key)[0], key

    def _address(self, event: TokenInvalid, row: DeviceRow) -> bytes:
        """As the provider knows it; what cannot be opened is no push service's."""
        place = Place(row.app, row.platform, row.kind, event.user, row.device)
        try:
            return self._context.tokens.opened(row, place)
        except (KeyUnknown, SealBroken):
            return b""
