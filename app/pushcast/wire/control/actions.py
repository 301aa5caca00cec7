"""`push.action.v1`: who did what in the console, or tried to, as records and as the newest of them. Pure."""

from __future__ import annotations

import logging
import math
from collections import deque
from typing import Annotated, Final

import msgspec

from pushcast.model.errors import InvalidInput
from pushcast.wire.json_errors import decoded

logger = logging.getLogger(__name__)

MAX_TEXT_CHARS: Final = 500
#: Actions that a console shows.
KEPT: Final = 500
_Text = Annotated[str, msgspec.Meta(max_length=MAX_TEXT_CHARS)]


class OperatorAction(msgspec.Struct, frozen=True):
    """`by`: the key. `did`: a word for the kind. `what`: on what, never content. `at`: milliseconds since the epoch.

    `refused`: the name of the problem; empty: it was done. `before`, `after`: how it stood, in a few words; empty where
    a release before this one wrote the record, or where nothing stood.
    """

    at: Annotated[int, msgspec.Meta(ge=0, le=2**53)]
    by: _Text
    label: _Text
    did: _Text
    what: _Text
    refused: _Text = ""
    address: _Text = ""
    before: _Text = ""
    after: _Text = ""


_DECODER: Final = msgspec.json.Decoder(OperatorAction)


def encode(action: OperatorAction) -> bytes:
    """The record's value."""
    return msgspec.json.encode(action)


def decode(value: bytes) -> OperatorAction:
    """Fields that a later release adds are left out. Raises InvalidInput (not_json, invalid_field)."""
    return decoded(_DECODER, value)


class Actions:
    """The newest 500. `live`, `current_at`: as `kafka.control.ControlTail` keeps them."""

    def __init__(self) -> None:
        self.live = False
        self.current_at = math.inf
        self.ignored = 0
        self._newest: deque[OperatorAction] = deque(maxlen=KEPT)

    def apply(self, key: bytes | None, value: bytes | None) -> None:
        """Takes the next record; one that cannot be read changes nothing."""
        if value is None:
            return
        try:
            self._newest.append(decode(value))
        except InvalidInput as error:
            if not self.ignored:
                logger.warning("action records that are ignored: %s: %s", error.reason, error)
            self.ignored += 1

    def newest(self) -> list[OperatorAction]:
        """Newest first."""
        return list(reversed(self._newest))
