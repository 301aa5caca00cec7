"""The usual keep record, which says when it is due and nothing else: its headers read in one look.

They are those that `held.held_headers` writes of such a timer (tests/laws/test_plain_timers.py). Whatever is not usual
is left to `held.held_of`, which says what is wrong with it.
"""

from __future__ import annotations

from typing import Final

from pushcast.wire.headers import EPOCH, ORIGIN, Headers
from pushcast.wire.sending.retries import DUE_AT
from pushcast.wire.waiting.held import EVENT, LAST_MS, WRITTEN_AT

_NAMES: Final = (ORIGIN, EPOCH, DUE_AT, WRITTEN_AT, EVENT)
_DIGITS: Final = len(str(LAST_MS))
#: origin and epoch as the headers have them, due_at and written_at in milliseconds since the epoch, and the
#: notification's id.
PlainHold = tuple[bytes, bytes, int, int, bytes]


def plain_hold(headers: Headers) -> PlainHold | None:
    """None: of any other record, or of one with something wrong."""
    if len(headers) != len(_NAMES):
        return None
    (first, origin), (second, epoch), (third, due), (fourth, written), (fifth, event) = headers
    if (first, second, third, fourth, fifth) != _NAMES or not (origin and epoch and due and written and event):
        return None
    offset, separator, note_id = event.partition(b"|")
    if not (separator and offset and (offset + epoch + due + written).isdigit()):
        return None
    if len(epoch) > _DIGITS or len(due) > _DIGITS or len(written) > _DIGITS:
        return None
    if not (origin.isascii() and note_id.isascii()):
        return None
    due_at, written_at = int(due), int(written)
    return (origin, epoch, due_at, written_at, note_id) if due_at <= LAST_MS >= written_at else None
