"""Records of `push.parked.v1`: deliveries of one (app, platform, lane) that are kept aside, so that the partition of
their send record goes on for all others.

Like a retry record it is a SendBatch with the whole content, and what belongs to the round stands in headers. Parking
costs no round: neither `push-attempt` nor the ladder moves. It has no time at which it is due: SETTLE passes it on when
`ControlState.held` no longer holds it, and rarely looks for what has expired. A breaker closes only when probes get
through, and probes are deliveries: so such a rare pass sends one record of each (app, platform) whose breaker is open,
and which is not paused, back to its send topic; the sender probes with it or parks it again.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Final, NamedTuple

from pushcast.model.batch import Message, SendBatch
from pushcast.model.errors import InvalidInput
from pushcast.model.words import Lane, Platform, Reason, Source
from pushcast.wire.headers import RUN, Headers, first
from pushcast.wire.sending.batches import encode_batch
from pushcast.wire.sending.retries import (
    APP,
    ATTEMPT,
    DOUBTFUL,
    DUE_AT,
    FIRST_SEEN,
    LANE,
    PARKED_FOR,
    PLATFORM,
    REFUSED,
    SENT_FROM,
    number,
)

#: Headers that belong to the parking and do not travel back to the send topic.
OWN = frozenset({APP, PARKED_FOR, SENT_FROM})


_LAST_MS: Final = 2**53


class Why(StrEnum):
    """What kept a delivery from its provider."""

    PAUSED = "paused"  # by an operator
    BREAKER = "breaker"  # the app's breaker is open, or this answer helped to open it
    KEY_UNKNOWN = "key_unknown"  # the address is sealed with a key that this process does not hold
    BROADCAST_HELD = "broadcast_held"  # by an operator
    QUIET_HOURS = "quiet_hours"  # of the user: it was to be tried again within them
    BUDGET = "budget"  # the app's provider is so slow that its work held up the partition


class Parked(NamedTuple):
    """What the headers of a parked record say. `why` is None when a later release had a word of its own."""

    app: str
    platform: Platform
    lane: Lane
    why: Why | None


def parked_record(
    *,
    app: str,
    lane: Lane,
    platform: Platform,
    messages: list[Message],
    why: Why,
    run: int,
    first_seen_at: int,
    rounds_made: int,
    doubtful: bool,
    sent_from: str,
    refused: bool = False,
    source: int = Source.NOTIFICATION,
    carried: Iterable[tuple[str, bytes | None]] = (),
) -> tuple[bytes, list[tuple[str, bytes | None]]]:
    """Value and headers, for the partition of the send record. `messages` are all of `app`.

    `rounds_made`: before this sending, which is none. `carried`: foreign headers of the send record; `sent_from`:
    `group|send offset`, by which a sender's ledger knows the deliveries as ended here. `refused`: the provider was
    asked for them, so they are the last that a probe is made of.
    """
    value = encode_batch(SendBatch(lane, platform, messages, run, first_seen_at, source))
    headers = [
        *carried,
        *parking_headers(app, platform, lane, why),
        (FIRST_SEEN, str(first_seen_at).encode()),
        (SENT_FROM, sent_from.encode()),
    ]
    if rounds_made:
        headers.append((ATTEMPT, str(rounds_made).encode()))
    if doubtful:
        headers.append((DOUBTFUL, b"1"))
    if refused:
        headers.append((REFUSED, b"1"))
    if run:
        headers.append((RUN, str(run).encode()))
    return value, headers


def parking_headers(
    app: str, platform: str, lane: str, why: Why, until_ms: int | None = None
) -> list[tuple[str, bytes | None]]:
    """`until_ms`: nothing of it may leave before; None: nobody knows when it may."""
    headers: list[tuple[str, bytes | None]] = [
        (APP, app.encode()),
        (PLATFORM, platform.encode()),
        (LANE, lane.encode()),
        (PARKED_FOR, why.encode()),
    ]
    return headers if until_ms is None else [*headers, (DUE_AT, b"%d" % until_ms)]


def time_of(headers: Headers | None) -> int | None:
    """Before when nothing of a record may leave; None: nobody knows, or the header is broken, which is said when the
    record is read."""
    try:
        return number(headers or (), DUE_AT, _LAST_MS)
    except InvalidInput:
        return None


def was_refused(headers: Headers | None) -> bool:
    """Whether a provider was asked for these deliveries before, and refused them."""
    return first(headers, REFUSED) is not None or first(headers, ATTEMPT) is not None


def parked_of(headers: Headers | None) -> Parked:
    """Without decoding the value. Raises InvalidInput (invalid_field) naming the header that is missing or wrong."""
    why = _text(headers, PARKED_FOR)
    known = why in {str(word) for word in Why}
    return Parked(
        _text(headers, APP),
        Platform(_word(headers, PLATFORM, {str(each) for each in Platform})),
        Lane(_word(headers, LANE, {str(each) for each in Lane})),
        Why(why) if known else None,
    )


def _word(headers: Headers | None, name: str, words: set[str]) -> str:
    value = _text(headers, name)
    if value not in words:
        raise InvalidInput(Reason.INVALID_FIELD, f"{name} is none of {', '.join(sorted(words))}", name)
    return value


def _text(headers: Headers | None, name: str) -> str:
    value = first(headers, name)
    if not value:
        raise InvalidInput(Reason.INVALID_FIELD, f"the record has no header {name}", name)
    return value.decode("utf-8", "replace")
