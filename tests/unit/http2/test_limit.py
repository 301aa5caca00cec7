"""Single steps of the limit; tests/laws/test_limit.py has what comes of them."""

from __future__ import annotations

from pushcast.http2.limit import LEAST, START, AdaptiveLimit, FixedLimit

MOST = 1_000


def make_limit() -> AdaptiveLimit:
    limit = AdaptiveLimit(MOST, 10.0)
    limit.look(0.0, 0, 0, True, 0.0)
    return limit


def a_round(limit: AdaptiveLimit, now: float, latency: float, late: float = 0.0) -> int:
    """As many answers as may be out, each after `latency`, while more waits."""
    limit.answered(limit.value, limit.value * latency)
    limit.look(now, limit.value, limit.value, True, late)
    return limit.value


def test_it_doubles_while_answers_stay_quick() -> None:
    limit = make_limit()
    assert [a_round(limit, now, 0.05) for now in (0.1, 0.2, 0.3)] == [2 * START, 4 * START, 8 * START]
    assert (limit.latency_seconds, limit.slow) == (0.05, False)


def test_it_does_not_grow_while_less_is_out_than_may_be() -> None:
    limit = make_limit()
    limit.answered(START, START * 0.05)
    limit.look(0.1, START // 2, START // 2, True, 0.0)
    assert limit.value == START


def test_the_first_answers_of_a_round_do_not_make_it_grow() -> None:
    limit = make_limit()
    limit.answered(START - 1, 0.0)
    limit.look(0.1, START, START, True, 0.0)
    assert limit.value == START


def test_slow_answers_cut_it_to_what_their_rate_allows() -> None:
    limit = make_limit()
    for now in (0.2, 0.3, 0.4):
        a_round(limit, now, 0.02)
    limit.answered(130, 130 * 2.0)  # in 0.2 s: 650 a second, of which 0.48 s worth may be out
    limit.look(0.6, 512, 512, True, 0.0)
    assert (limit.value, limit.slow) == (312, True)


def test_what_lay_unread_here_is_not_held_against_the_server() -> None:
    limit = make_limit()
    before = a_round(limit, 0.1, 0.02)
    assert a_round(limit, 0.2, 2.0, late=1.95) >= before
    assert not limit.slow


def test_silence_cuts_it_by_halves() -> None:
    limit = make_limit()
    before = a_round(limit, 0.1, 0.02)
    for tick in range(11):
        limit.look(0.2 + tick / 10, before, before, True, 0.0)
    assert limit.value == before // 2
    for tick in range(100):
        limit.look(1.3 + tick / 10, before, before, True, 0.0)
    assert limit.value == LEAST


def test_nothing_out_is_no_silence() -> None:
    limit = make_limit()
    for tick in range(100):
        limit.look(tick / 10, 0, 0, False, 0.0)
    assert (limit.value, limit.slow) == (START, False)


def test_what_is_not_used_is_forgotten() -> None:
    limit = make_limit()
    for now in (0.1, 0.2, 0.3):
        a_round(limit, now, 0.05)
    for tick in range(300):
        limit.answered(1, 0.05)
        limit.look(0.4 + tick / 10, 1, 1, False, 0.0)
    assert limit.value == START


def test_answers_to_what_left_before_a_cut_are_not_judged_again() -> None:
    limit = make_limit()
    for now in (0.2, 0.3, 0.4):
        a_round(limit, now, 0.02)
    limit.answered(130, 130 * 2.0)
    limit.look(0.6, 300, 300, True, 0.0)
    value = limit.value
    limit.answered(300, 300 * 2.0)
    limit.look(0.9, 0, 0, True, 0.0)
    assert limit.value == value


def test_a_fixed_one_stays_and_measures() -> None:
    limit = FixedLimit(MOST)
    limit.answered(4, 20.0)
    limit.look(0.1, 4, 4, True, 0.0)
    assert (limit.value, limit.latency_seconds, limit.slow) == (MOST, 5.0, False)
