from __future__ import annotations

import pytest

from pushcast.model.errors import InvalidInput
from pushcast.providers.expo.receipts import (
    IDS_PER_POLL,
    KEPT_SECONDS,
    POLL_AFTER_SECONDS,
    DuePoll,
    Ticket,
    after_poll,
    decode,
    encode,
    first_polls,
    postponed,
)
from pushcast.providers.port import Disposition
from pushcast.providers.verdict import Verdict

SENT = 1_800_000_000_000
OK = Verdict(Disposition.ACCEPTED, None)


def tickets(count: int) -> list[Ticket]:
    return [Ticket(f"t{number}", f"u{number}", "d", bytes([number % 256]) * 16, SENT - 1) for number in range(count)]


def test_the_first_poll_is_a_quarter_of_an_hour_on_and_asks_for_300_at_most() -> None:
    polls = first_polls("news", SENT, tickets(700))
    assert [len(poll.tickets) for poll in polls] == [IDS_PER_POLL, IDS_PER_POLL, 100]
    assert {poll.due_at - SENT for poll in polls} == {900_000}
    assert [ticket for poll in polls for ticket in poll.tickets] == tickets(700)
    assert first_polls("news", SENT, []) == []


def test_what_was_answered_is_settled_and_the_rest_is_asked_again() -> None:
    (poll,) = first_polls("news", SENT, tickets(3))
    settled, again, silent = after_poll(poll, {"t1": OK}, poll.due_at)
    assert settled == [(tickets(3)[1], OK)]
    assert again is not None
    assert [ticket.ticket_id for ticket in again.tickets] == ["t0", "t2"]
    assert (again.due_at - SENT, again.polls, silent) == (1_800_000, 1, [])


def test_nothing_is_asked_again_when_all_are_known() -> None:
    (poll,) = first_polls("news", SENT, tickets(1))
    assert after_poll(poll, {"t0": OK}, poll.due_at).again is None


def test_polls_come_ever_later_and_end_before_expo_forgets() -> None:
    poll: DuePoll | None = first_polls("news", SENT, tickets(1))[0]
    dues = []
    silent: list[Ticket] = []
    while poll is not None:
        dues.append((poll.due_at - SENT) // 1000)
        _, poll, silent = after_poll(poll, {}, poll.due_at)
    assert tuple(dues) == POLL_AFTER_SECONDS
    assert dues[-1] < KEPT_SECONDS
    assert silent == tickets(1)


def test_a_late_poll_skips_the_times_that_passed() -> None:
    (poll,) = first_polls("news", SENT, tickets(1))
    again = after_poll(poll, {}, SENT + 3 * 3600 * 1000).again
    assert again is not None
    assert (again.due_at - SENT) // 1000 == 14_400
    assert after_poll(again, {}, SENT + KEPT_SECONDS * 1000).silent == tickets(1)


def test_a_poll_that_was_refused_comes_again_until_the_receipts_are_deleted() -> None:
    (poll,) = first_polls("news", SENT, tickets(1))
    later = postponed(poll, 30.0, poll.due_at)
    assert later is not None
    assert (later.due_at - poll.due_at, later.polls, later.tickets) == (30_000, 0, poll.tickets)
    assert postponed(poll, 30.0, SENT + KEPT_SECONDS * 1000) is None


def test_a_record_is_read_as_it_was_written() -> None:
    (poll,) = first_polls("news", SENT, tickets(2))
    assert decode(encode(poll)) == poll


@pytest.mark.parametrize("value", [b"", b"{}", b"[]", b'{"app":1}', b"\xff"])
def test_what_is_no_due_poll_is_invalid(value: bytes) -> None:
    with pytest.raises(InvalidInput):
        decode(value)
