from __future__ import annotations

import pytest

from pushcast.send.budget import Budget


def test_a_single_app_has_the_whole_budget() -> None:
    budget = Budget(100)
    assert budget.take("a", 250) == 100
    assert budget.take("a", 1) == 0


def test_a_slow_app_leaves_half_to_the_others() -> None:
    budget = Budget(100)
    budget.register("a")
    budget.register("b")
    assert budget.take("a", 250) == 50
    assert budget.take("a", 250) == 0
    assert budget.take("b", 250) == 25


def test_an_app_that_holds_nothing_gets_something_while_anything_is_free() -> None:
    budget = Budget(3)
    for key in "abcd":
        budget.register(key)
    assert [budget.take(key, 10, least=10) for key in "abcd"] == [1, 1, 1, 0]
    budget.release("a", 1)
    assert budget.take("d", 10, least=10) == 1


def test_messages_are_not_split_into_crumbs() -> None:
    budget = Budget(100)
    assert budget.take("a", 90) == 90
    assert budget.take("a", 50, least=20) == 0
    assert budget.take("a", 5, least=20) == 5
    budget.release("a", 45)
    assert budget.take("a", 50, least=20) == 50


def test_what_is_released_is_free_again() -> None:
    budget = Budget(10)
    budget.take("a", 10)
    budget.release("a", 4)
    assert (budget.held, budget.held_by("a")) == (6, 6)
    assert budget.take("a", 10) == 4


def test_releasing_more_than_is_held_is_refused() -> None:
    budget = Budget(10)
    budget.take("a", 2)
    with pytest.raises(ValueError, match="3 deliveries released, 2 held"):
        budget.release("a", 3)


def test_waking_tells_every_subscriber() -> None:
    told: list[str] = []
    budget = Budget(1)
    budget.subscribe(lambda: told.append("one"))
    budget.subscribe(lambda: told.append("two"))
    budget.wake()
    assert told == ["one", "two"]


def test_a_budget_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Budget(0)


def test_a_key_that_nobody_registered_takes_no_share_away_once_it_holds_nothing() -> None:
    budget = Budget(10)
    budget.register("a")
    assert budget.take("stranger", 1) == 1
    assert budget.take("a", 10) == 4, "not alone"
    budget.release("stranger", 1)
    assert budget.take("a", 10) == 6, "alone again"
