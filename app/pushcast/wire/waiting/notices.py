"""What a registrar tells the keeper of a user: records of `push.keep.urgent.v1` without an event.

The same may be told twice, and by a registrar that had lost its partition: both change nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from hashlib import blake2b
from typing import Final, NamedTuple

import msgspec

from pushcast.model.errors import InvalidInput
from pushcast.model.words import Reason
from pushcast.wire.headers import Headers, first
from pushcast.wire.json_errors import UNREADABLE
from pushcast.wire.sending.retries import number

#: On a notice: which one; no event has it.
NOTICE: Final = "push-notice"
#: On a notice: when it happened, milliseconds since the epoch, decimal.
AT: Final = "push-notice-at"
#: On a notice: the threads that the user has switched off, a JSON object; by app the names of `thread_name`, one after
#: the other in hex, and under an empty name those of all apps that have no entry.
THREADS_OFF: Final = "push-threads-off"
_LAST_MS: Final = 2**53
_NAME_BYTES: Final = 8
ThreadsOff = Mapping[str, frozenset[bytes]]


_OFF: Final = msgspec.json.Decoder(dict[str, str])


class NoticeKind(StrEnum):
    """What happened."""

    ZONES_CHANGED = "zones_changed"  # a device of the user, or the user's own wish, has another time zone
    FORGOTTEN = "forgotten"  # nothing that was written until then is for the user
    THREADS_SWITCHED = "threads_switched"  # the user has other threads off than before


class Notice(NamedTuple):
    """One notice; `at` in milliseconds since the epoch. `off`: of THREADS_SWITCHED, see `THREADS_OFF`."""

    kind: NoticeKind
    at: int
    off: ThreadsOff | None = None


def thread_name(thread: str) -> bytes:
    """8 bytes that stand for a thread: a user may have 200 of them off, of 256 bytes each."""
    return blake2b(thread.encode(), digest_size=_NAME_BYTES).digest()


def notice_headers(notice: Notice) -> list[tuple[str, bytes | None]]:
    """Of the record; its value is empty."""
    if notice.off is None:
        return [(NOTICE, notice.kind.encode()), (AT, b"%d" % notice.at)]
    off = {app: b"".join(sorted(names)).hex() for app, names in notice.off.items()}
    # A keeper of an earlier release knows no such notice. It looks at due times once more, which changes nothing.
    said = NoticeKind.ZONES_CHANGED.encode()
    return [(NOTICE, said), (AT, b"%d" % notice.at), (THREADS_OFF, msgspec.json.encode(off))]


def is_notice(headers: Headers) -> bool:
    """Whether a record of a keep topic holds nothing back."""
    return first(headers, NOTICE) is not None


def notice_of(headers: Headers) -> Notice:
    """Raises InvalidInput."""
    kind, at = (first(headers, NOTICE) or b"").decode("utf-8", "replace"), number(headers, AT, _LAST_MS)
    if kind not in set(NoticeKind):
        raise InvalidInput(Reason.INVALID_FIELD, f"{NOTICE} is none of {', '.join(NoticeKind)}", NOTICE)
    if at is None:
        raise InvalidInput(Reason.INVALID_FIELD, f"no header {AT}", AT)
    off = first(headers, THREADS_OFF)
    return Notice(NoticeKind(kind), at) if off is None else Notice(NoticeKind.THREADS_SWITCHED, at, _threads(off))


def _threads(value: bytes) -> ThreadsOff:
    try:
        found = {app: bytes.fromhex(names) for app, names in _OFF.decode(value).items()}
    except (*UNREADABLE, ValueError) as error:
        raise InvalidInput(Reason.INVALID_FIELD, f"header {THREADS_OFF}: {error}", THREADS_OFF) from error
    return {
        app: frozenset(names[at : at + _NAME_BYTES] for at in range(0, len(names), _NAME_BYTES))
        for app, names in found.items()
    }
