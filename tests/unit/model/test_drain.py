"""How many expire before it is their turn: A7 and B4 of reference/time.md."""

from __future__ import annotations

import pytest

from pushcast.model.drain import MAX_KEPT, Drain, EvenSample, Lifetime, late_at_provider

NOW = 1_800_000_000_000
MINUTE = 60_000


def drain(count: int, per_minute: float, due_at: int = NOW) -> Drain[int]:
    found = Drain[int](per_minute, NOW)
    for number in range(count):
        found.add(number, due_at)
    return found


@pytest.mark.parametrize(("count", "late"), [(10, 0), (30, 0), (31, 1), (100, 70)])
def test_what_leaves_after_its_expiry_is_late(count: int, late: int) -> None:
    assert drain(count, 10).late(lambda _: NOW + 3 * MINUTE) == late


def test_of_many_some_are_looked_at_and_stand_for_the_others() -> None:
    looked: list[int] = []

    def expires_at(number: int) -> int:
        looked.append(number)
        return NOW + 50 * MINUTE

    assert drain(100_000, 1_000).late(expires_at) == pytest.approx(50_000, rel=0.02)
    assert len(looked) <= MAX_KEPT


def test_one_that_is_due_later_leaves_then_and_those_behind_it_after_it() -> None:
    found = Drain[str](1, NOW)
    assert found.add("later", NOW + 10 * MINUTE) == NOW + 10 * MINUTE
    assert found.add("behind", NOW) == NOW + 11 * MINUTE


def test_what_is_not_known_is_not_late() -> None:
    assert drain(10, 1).late(lambda _: None) == 0


def test_a_sample_is_even() -> None:
    sample = EvenSample[int]()
    for number in range(1_000):
        sample.add(number)
    assert {after - before for before, after in zip(sample.kept, sample.kept[1:], strict=False)} == {sample.apart}
    assert sample.count == 1_000


def test_a_provider_takes_only_what_is_of_its_app_or_of_all() -> None:
    news, chat, everybody = Lifetime("news", NOW + MINUTE), Lifetime("chat", NOW), Lifetime(None, NOW + MINUTE)
    sample = EvenSample[Lifetime | None]()
    for number in range(40):
        sample.add((news, chat, everybody, None)[number % 4])
    assert late_at_provider(sample, "news", 15, NOW) == 5
    assert late_at_provider(sample, "news", 20, NOW) == 0
