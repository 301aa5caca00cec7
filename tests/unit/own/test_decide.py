"""Pure decisions about whose a token is."""

from __future__ import annotations

import pytest

from pushcast.model.ownership import NOBODY, Claim, Evict, Mark, Registration, token_of
from pushcast.own.decide import CONTESTED_MOVES, DAY_MS, Decision, decide
from unit.own.twin import TOKEN, claim
from unit.register.twin import T0


def after(*claims: Claim, at: int = T0) -> Mark:
    mark: Mark | None = None
    for each in claims:
        mark = decide(mark, each, at).mark or mark
    assert mark is not None
    return mark


def evicted(mark: Mark, late: Claim) -> Evict | None:
    return decide(mark, late, T0).evict


def test_the_first_claim_owns_the_token() -> None:
    decision = decide(None, claim("a", 1), T0)
    assert decision == Decision(Mark(claim("a", 1).registration, True, T0, 0, T0))


def test_a_newer_claim_of_another_device_takes_the_token_and_evicts_the_former_owner() -> None:
    decision = decide(after(claim("a", 1)), claim("b", 2), T0)
    assert decision.mark is not None
    assert decision.mark.registration == claim("b", 2).registration
    assert decision.evict == Evict(TOKEN, claim("a", 1).registration.key, claim("b", 2).registration)


def test_an_older_claim_of_another_device_is_evicted_on_arrival() -> None:
    decision = decide(after(claim("b", 2)), claim("a", 1), T0)
    assert decision == Decision(evict=Evict(TOKEN, claim("a", 1).registration.key, claim("b", 2).registration))


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 2, 1), (2, 3, 1), (2, 1, 3), (1, 3, 2), (3, 1, 2)])
def test_a_phone_that_is_handed_back_is_its_first_owners_in_any_order_of_arrival(order: tuple[int, ...]) -> None:
    said = {1: claim("a", 1), 2: claim("b", 2), 3: claim("a", 3)}
    assert after(*[said[number] for number in order]).registration == claim("a", 3).registration


def test_of_two_claims_of_one_time_the_greater_key_wins_in_either_order() -> None:
    for first, second in (("a", "b"), ("b", "a")):
        assert after(claim(first, 1), claim(second, 1)).registration == claim("b", 1).registration


def test_the_same_claim_again_and_an_older_one_of_the_owner_change_nothing() -> None:
    mark = after(claim("a", 2))
    assert decide(mark, claim("a", 2), T0 + 9) == decide(mark, claim("a", 1), T0 + 9) == Decision()


def test_a_registration_that_is_over_leaves_its_mark_and_a_later_end_of_an_earlier_one_changes_nothing() -> None:
    mark = after(claim("a", 1), claim("a", 1, over=True), at=T0)
    assert (mark.registration, mark.live) == (claim("a", 1).registration, False)
    assert decide(after(claim("a", 2)), claim("a", 1, over=True), T0) == Decision()
    assert decide(None, claim("a", 1, over=True), T0) == Decision()


def test_a_late_claim_is_evicted_although_the_owner_has_gone() -> None:
    mark = after(claim("a", 5), claim("a", 5, over=True))
    assert evicted(mark, claim("b", 4)) is not None
    assert evicted(mark, claim("b", 6)) is not None  # of the device that had it; its row is gone already


def test_a_token_that_is_unregistered_by_itself_is_taken_from_its_owner_and_from_claims_up_to_then() -> None:
    decision = decide(after(claim("a", 1)), claim("", 3), T0)
    assert decision.mark is not None
    assert (decision.mark.registration, decision.mark.live) == (Registration(T0 + 3, NOBODY), False)
    assert decision.evict is not None
    assert decision.evict.key == claim("a", 1).registration.key
    assert evicted(decision.mark, claim("b", 2)) is not None
    again = decide(decision.mark, claim("b", 3), T0)
    assert again.mark is not None
    assert (again.mark.live, again.evict) == (True, None)
    assert decide(decision.mark, claim("", 2), T0) == Decision()


def test_a_token_that_moves_more_than_five_times_a_day_is_contested() -> None:
    mark, contested = after(claim("a", 0)), []
    for number in range(1, CONTESTED_MOVES + 3):
        decision = decide(mark, claim("ab"[number % 2], number), T0 + number)
        assert decision.mark is not None
        mark = decision.mark
        contested.append(decision.contested)
    assert contested == [False] * CONTESTED_MOVES + [True, True]
    calm = decide(mark, claim("a", 99), T0 + DAY_MS)
    assert calm.mark is not None
    assert (calm.contested, calm.mark.moves) == (False, 1)


def test_a_rows_key_names_its_token() -> None:
    assert token_of(TOKEN.key()) == TOKEN
    with pytest.raises(ValueError, match="app NUL platform NUL hash"):
        token_of(b"a\0b\0c" + TOKEN.digest)
