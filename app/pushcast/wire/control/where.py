"""`push.where.v1`: which process has which group and slot, as records and as what they amount to. Pure.

Key `where/<group>/<slot>`, value JSON. A process writes a record for each of its groups once per session timeout, so
the log of two processes with one slot has the records of both.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final

import msgspec

from pushcast.wire.json_errors import decoded

#: A process that has written nothing since this many records of ours is not alive.
LIVE_REFRESHES: Final = 3
#: Raised with each release whose planners write what the readers of the one before would leave lying: another source,
#: another kind of record, a word that ends something. A process of an older one says a lower one.
RELEASE: Final = 1
#: Of a process that says none: whoever writes these records at all reads what planners of release 1 write.
_SAYS_NONE: Final = 1

_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]


class Where(msgspec.Struct, frozen=True):
    """A process. `started_at`: milliseconds since the epoch, by its own clock; that of its supervisor, if it has one,
    so that a role which was started again is as old as its siblings. `instance`: a name that no other process has.
    `release`: `RELEASE` of its release."""

    instance: _Text
    host: _Text
    pid: Annotated[int, msgspec.Meta(ge=1)]
    started_at: Annotated[int, msgspec.Meta(ge=0, le=2**53)]
    release: Annotated[int, msgspec.Meta(ge=0, le=2**31)] = _SAYS_NONE

    @property
    def age(self) -> tuple[int, str, str]:
        """The lesser is the older. Both sides compare the same numbers, so they agree whatever their clocks say."""
        return self.started_at, self.host, self.instance


_decoder = msgspec.json.Decoder(Where)


def key_of(group: str, slot: str) -> bytes:
    """The record key."""
    return f"where/{group}/{slot}".encode()


def place_of(key: bytes) -> tuple[str, str] | None:
    """(group, slot) of a record key; None: it is another kind of record."""
    kind, _, place = key.decode("utf-8", "replace").partition("/")
    group, separator, slot = place.partition("/")
    return (group, slot) if kind == "where" and separator else None


def encode(entry: Where) -> bytes:
    """The record value."""
    return msgspec.json.encode(entry)


def decode(value: bytes) -> Where:
    """Fields that a later release adds are left out. Raises InvalidInput (not_json, invalid_field)."""
    return decoded(_decoder, value)


def older_owner(mine: Where, log: Sequence[Where]) -> Where | None:
    """The oldest process that is older than `mine` and alive. `log`: records of one key in the order of the topic.

    Alive is who has written beside the last `LIVE_REFRESHES` records of `mine`: a predecessor that was killed has
    written before all of them. None when `mine` is not in the log, too.
    """
    own = [at for at, entry in enumerate(log) if entry.instance == mine.instance]
    if not own:
        return None
    beside = log[own[-LIVE_REFRESHES:][0] :]
    return min((entry for entry in beside if entry.age < mine.age), key=lambda entry: entry.age, default=None)
