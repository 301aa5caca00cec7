"""What to ask Expo about pushes it took, and when: pure, for whoever polls from a topic.

A ticket says that Expo has the push; its receipt, some minutes later and for 24 hours, what Apple or Google said.
https://docs.expo.dev/push-notifications/sending-notifications/#push-receipts
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from pushcast.model.errors import InvalidInput
from pushcast.model.words import Reason
from pushcast.providers.verdict import Verdict

MAX_IDS_PER_REQUEST: Final = 1000
KEPT_SECONDS: Final = 24 * 3600
# As many as Expo's own SDK asks for.
IDS_PER_POLL: Final = 300
# After the push was sent. Expo: from a quarter of an hour on; deleted after 24 hours.
POLL_AFTER_SECONDS: Final = (900, 1800, 3600, 7200, 14_400, 28_800, 57_600, 82_800)


class Ticket(msgspec.Struct, frozen=True, array_like=True):
    """An accepted push whose receipt is not known. `registered_at` in milliseconds: a receipt says nothing about a
    token that was registered after the push was sent."""

    ticket_id: str
    user: str
    device: str
    token_hash: bytes
    registered_at: int


class DuePoll(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One record of the topic of due polls. Times in milliseconds since the epoch; `polls`: made so far."""

    app: str
    sent_at: int
    due_at: int
    polls: int
    tickets: list[Ticket]


class Polled(NamedTuple):
    """What one poll settled. `again`: what to write to the topic before this record is done. `silent`: tickets that
    Expo never spoke of within its 24 hours; they stay accepted."""

    settled: list[tuple[Ticket, Verdict]]
    again: DuePoll | None
    silent: list[Ticket]


_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder(DuePoll)


def first_polls(app: str, sent_at: int, tickets: Sequence[Ticket]) -> list[DuePoll]:
    """What to write when tickets came, at most 300 of them to a record."""
    due_at = sent_at + POLL_AFTER_SECONDS[0] * 1000
    return [
        DuePoll(app, sent_at, due_at, 0, list(tickets[start : start + IDS_PER_POLL]))
        for start in range(0, len(tickets), IDS_PER_POLL)
    ]


def after_poll(poll: DuePoll, verdicts: Mapping[str, Verdict], now_ms: int) -> Polled:
    """`verdicts` by ticket id, of those receipts that were there. A poll that is late skips the times that passed; the
    last is at 23 hours."""
    settled = [(ticket, verdicts[ticket.ticket_id]) for ticket in poll.tickets if ticket.ticket_id in verdicts]
    pending = [ticket for ticket in poll.tickets if ticket.ticket_id not in verdicts]
    if not pending:
        return Polled(settled, None, [])
    polls = poll.polls + 1
    dues = [poll.sent_at + seconds * 1000 for seconds in POLL_AFTER_SECONDS[polls:]]
    due_at = next((due for due in dues if due > now_ms), None)
    if due_at is None:
        return Polled(settled, None, pending)
    polls = POLL_AFTER_SECONDS.index((due_at - poll.sent_at) // 1000)
    return Polled(settled, DuePoll(poll.app, poll.sent_at, due_at, polls, pending), [])


def postponed(poll: DuePoll, seconds: float, now_ms: int) -> DuePoll | None:
    """The same poll later, when Expo refused the request or did not answer; None when the receipts are deleted then."""
    due_at = now_ms + round(seconds * 1000)
    return msgspec.structs.replace(poll, due_at=due_at) if due_at < poll.sent_at + KEPT_SECONDS * 1000 else None


def encode(poll: DuePoll) -> bytes:
    """JSON of the record's value."""
    return _ENCODER.encode(poll)


def decode(value: bytes) -> DuePoll:
    """Raises InvalidInput."""
    try:
        return _DECODER.decode(value)
    except msgspec.DecodeError as error:
        raise InvalidInput(Reason.UNDECODABLE, f"due poll: {error}") from None
