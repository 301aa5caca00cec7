from __future__ import annotations

import pytest

from pushcast.poll.decide import LEAST_STAY_SECONDS, after_answer, divisible, early, postponed_until, wait_seconds
from pushcast.providers.expo.receipts import KEPT_SECONDS, LAST_ASK_SECONDS
from pushcast.providers.port import Disposition
from pushcast.providers.verdict import Verdict
from pushcast.wire.sending.retries import DUE_AT
from unit.poll.twin import FIRST_SECONDS, T0, tickets

OK = Verdict(Disposition.ACCEPTED, None)


def due(at: int) -> list[tuple[str, bytes]]:
    return [(DUE_AT, str(at).encode())]


def test_what_was_answered_is_settled_and_the_rest_is_asked_again() -> None:
    settled, pending, due_at, silent = after_answer(tickets(3), {"t1": OK}, T0 + 901_000, FIRST_SECONDS)
    assert settled == [(1, OK)]
    assert pending is not None
    assert (pending.ticket_id, pending.user, pending.asks) == (["t0", "t2"], ["u0", "u2"], 1)
    assert (due_at - T0, silent) == (1_800_000, 0)


def test_nothing_is_asked_again_when_all_are_known() -> None:
    assert after_answer(tickets(1), {"t0": OK}, T0 + 900_000, FIRST_SECONDS)[1:] == (None, 0, 0)


def test_questions_come_ever_later_and_end_before_expo_forgets() -> None:
    at, dues = T0 + 900_000, []
    while (answered := after_answer(tickets(2), {}, at, FIRST_SECONDS)).pending is not None:
        assert answered.due_at > at
        at = answered.due_at
        dues.append((at - T0) // 1000)
    assert dues == [1800, 3600, 7200, 14_400, 28_800, 57_600, LAST_ASK_SECONDS]
    assert LAST_ASK_SECONDS < KEPT_SECONDS
    assert answered.silent == 2


def test_a_late_question_skips_the_times_that_passed() -> None:
    assert after_answer(tickets(1), {}, T0 + 3 * 3_600_000, FIRST_SECONDS).due_at == T0 + 14_400_000


def test_a_clock_behind_the_senders_still_asks_again_later() -> None:
    assert after_answer(tickets(1), {}, T0 - 5_000, FIRST_SECONDS).due_at == T0 + 900_000


def test_after_a_refusal_there_is_another_question_until_the_receipts_are_gone() -> None:
    assert postponed_until(tickets(1), 30.0, T0 + 900_000) == T0 + 930_000
    assert postponed_until(tickets(1), 30.0, T0 + KEPT_SECONDS * 1000 - 20_000) is None


@pytest.mark.parametrize(
    ("headers", "written_at", "now", "expected"),
    [
        ((), T0, T0, 900.0),  # SEND names no time
        ((), T0, T0 + 600_000, 300.0),
        ((), T0, T0 + 3_600_000, 0.0),
        ((), 0, T0, 900.0),  # no timestamp either
        (due(T0 + 30_000), T0, T0, 30.0),
        (due(T0 + 7_200_000), T0, T0, 900.0),  # goes to the end meanwhile
        (due(T0 - 1), T0, T0, 0.0),
        ([(DUE_AT, b"soon")], T0, T0, 900.0),
        ((), T0 + 9_999_000, T0, 900.0),  # the sender's clock is ahead
    ],
)
def test_a_record_stays_until_it_is_due_and_never_longer_than_the_first_wait(
    headers: list[tuple[str, bytes]], written_at: int, now: int, expected: float
) -> None:
    assert wait_seconds(headers, written_at, now, FIRST_SECONDS) == expected


def test_a_record_that_goes_to_the_end_stays_some_seconds_however_short_the_first_wait() -> None:
    assert wait_seconds(due(T0 + 60_000), T0, T0, 0.1) == LEAST_STAY_SECONDS
    assert wait_seconds((), T0, T0, 0.1) == 0.1
    assert wait_seconds(due(T0 + 2_000), T0, T0, 0.1) == 2.0


def test_a_record_with_an_old_timestamp_is_not_moved_without_end() -> None:
    assert wait_seconds(due(T0 + 60_000), T0 - 3_600_000, T0, FIRST_SECONDS) == LEAST_STAY_SECONDS


def test_a_record_is_early_until_it_is_due_or_its_receipts_are_gone() -> None:
    batch = tickets(1)
    assert early(due(T0 + 60_000), batch, T0 + 59_999)
    assert not early(due(T0 + 60_000), batch, T0 + 60_000)
    assert not early((), batch, T0)
    assert not early([(DUE_AT, b"x")], batch, T0)
    assert not early(due(2**52), batch, T0 + KEPT_SECONDS * 1000)


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [
        (Verdict(Disposition.REJECTED, "bad_request"), True),
        (Verdict(Disposition.UNKNOWN, "answer_unreadable"), True),
        (Verdict(Disposition.UNKNOWN, "unknown_outcome"), False),
        (Verdict(Disposition.RETRY, "rate_limited"), False),
        (Verdict(Disposition.CREDENTIAL, "credential_refused"), False),
        (Verdict(Disposition.UNSENT, "connection_failed"), False),
    ],
)
def test_only_what_was_asked_wrongly_or_too_much_at_once_is_asked_in_parts(verdict: Verdict, expected: bool) -> None:
    assert divisible(verdict) == expected
