"""Records of a later release: a schema's fingerprint that this one does not know.

On a topic that only Pushcast writes such a record is good work, written by a process that was upgraded before its
readers. It is waited for: a dead letter would cost the pushes in it. On an intake topic it is somebody's mistake.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from pushcast.model.errors import InvalidInput
from pushcast.model.words import Lane, Platform
from pushcast.wire import topics
from pushcast.wire.schemas import (
    FRAME_BYTES,
    NAMES,
    SINGLE_OBJECT_MARKER,
    UnknownRelease,
    avro_type,
    released,
    released_type,
    written_type,
)

_KNOWN: Final = frozenset(SINGLE_OBJECT_MARKER + fingerprint for fingerprint in released())
#: What this release writes. A batch that says nothing beyond its plain schema is written in that one for good, and a
#: planned record without a broadcast, and a claim without a holder.
_CURRENT: Final = frozenset(avro_type(name).frame for name in NAMES) | {
    written_type("send_batch", 1).frame,
    released_type("planned", 2).frame,
    released_type("token_claim", 2).frame,
}
#: Frames that an earlier release wrote, or this one with `schemas.write: 1`.
EARLIER: Final = _KNOWN - _CURRENT
#: Topics that only Pushcast writes, in Avro.
INTERNAL: Final = frozenset(
    {
        *(topics.send(platform, lane) for platform in Platform for lane in Lane),
        *map(topics.retry, topics.RETRY_DELAY_SECONDS),
        *map(topics.ticket, topics.TICKET_PLATFORMS),
        *map(topics.walk, Lane),
        *map(topics.keep, Lane),
        *map(topics.due, Lane),
        *(topics.PARKED, topics.TOKEN_INVALID, topics.TOKEN_HOLD, topics.DEVICE, topics.PLANNED, topics.RECEIPT),
        *(topics.TOKEN_OWNER, topics.TOKEN_EVICT, topics.TOKEN_TOPICS),
        topics.WALKED,
        topics.USER,
        topics.RECALLABLE,
        topics.COUNTED,
    }
)


class NewerSchema(TimeoutError):
    """A record that only a later release can read. Whoever meets it waits, and goes on when it is readable: a process
    of that release has taken over, or the record was written again."""


def newer_schema(value: bytes | None) -> str | None:
    """The fingerprint of a framed value, in hex, when this release does not know it; None for every other value."""
    if value is None or value[:FRAME_BYTES] in _KNOWN or len(value) < FRAME_BYTES:
        return None
    return value[2:FRAME_BYTES].hex() if value[:2] == SINGLE_OBJECT_MARKER else None


def newer_at(place: str, fingerprint: str) -> NewerSchema:
    """What is said of it. `place`: which record."""
    return NewerSchema(
        f"{place} has schema {fingerprint}, which this release does not know: waiting until a process of the release"
        " that wrote it takes over (docs/operations.md, Upgrade)"
    )


class Looked(NamedTuple):
    """What rows of the devices topic were written by. `waits`: the first user with a row that this release cannot read,
    by place, and what is said of it; its key is not said."""

    earlier: int  # rows in a schema of an earlier release
    waits: tuple[int, NewerSchema] | None = None


_NOTHING_SEEN: Final = Looked(0)


def look(users: Sequence[Sequence[tuple[bytes, bytes]]]) -> Looked:
    """At the rows of some users. About 60 ns a row."""
    if {value[:FRAME_BYTES] for rows in users for _, value in rows} <= _CURRENT:  # nearly always
        return _NOTHING_SEEN
    earlier = 0
    for place, rows in enumerate(users):
        for _, value in rows:
            frame = value[:FRAME_BYTES]
            if frame in _CURRENT:
                continue
            if frame in EARLIER:
                earlier += 1
            elif (fingerprint := newer_schema(value)) is not None:
                return Looked(earlier, (place, newer_at(f"a row of {topics.DEVICE}", fingerprint)))
    return Looked(earlier)


def waited_for(error: InvalidInput, place: str) -> None:
    """Raises NewerSchema when it was a later release that wrote what cannot be read; returns otherwise. What has the
    frame of a registry was never ours: no release will read it here."""
    if isinstance(error, UnknownRelease):
        raise NewerSchema(
            f"{place}: {error}: waiting until a process of the release that wrote it takes over"
        ) from error
