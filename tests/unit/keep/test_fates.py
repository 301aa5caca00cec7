"""What became of notifications that a badge counts (A8 of reference/time.md: what expires unsent leaves the set)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pushcast.keep.fates import MAX_PENDING, begun, heard, without
from pushcast.model.caps import Ended, SlotPlanned

A, B = b"a" * 8, b"b" * 8
ACCOUNT, OTHER = b"account1", b"account2"


def ended(name: bytes, delivery: int, *, accepted: bool = False) -> Ended:
    return Ended(name, delivery.to_bytes(8, "big"), accepted, 0, "chat", "news")


def test_it_failed_when_all_that_was_planned_ended_otherwise_whoever_tells_first() -> None:
    words: list[SlotPlanned | Ended] = [SlotPlanned(A, ACCOUNT, 2), ended(A, 1), ended(A, 2)]
    for order in (words, words[::-1], [words[1], words[0], words[2]]):
        pending, failed = begun(begun(b"", A), B), False
        for number, word in enumerate(order):
            pending, failed = heard(pending, word)
            assert failed is (number == 2)
        assert pending == begun(b"", B)


def test_one_without_a_device_failed_when_that_is_planned() -> None:
    assert heard(begun(b"", A), SlotPlanned(A, ACCOUNT, 0)) == (b"", True)


def test_one_that_a_device_got_never_failed() -> None:
    pending, failed = heard(begun(b"", A), ended(A, 1, accepted=True))
    assert (pending, failed) == (b"", False)
    assert heard(pending, SlotPlanned(A, ACCOUNT, 1)) == (b"", False)
    assert heard(pending, ended(A, 2)) == (b"", False)


def test_what_is_told_twice_counts_once() -> None:
    pending = begun(b"", A)
    for word in (SlotPlanned(A, ACCOUNT, 2), ended(A, 1), ended(A, 1), SlotPlanned(A, ACCOUNT, 2)):
        pending, failed = heard(pending, word)
        assert not failed
    assert heard(pending, ended(A, 2)).failed


def test_two_accounts_of_one_notification_are_planned_together() -> None:
    pending = begun(b"", A)
    for word in (SlotPlanned(A, ACCOUNT, 1), SlotPlanned(A, OTHER, 1), ended(A, 1)):
        pending, failed = heard(pending, word)
        assert not failed
    assert heard(pending, ended(A, 2)).failed


def test_of_the_newest_only_it_is_asked() -> None:
    pending = b""
    for number in range(MAX_PENDING + 1):
        pending = begun(pending, number.to_bytes(8, "big"))
    assert heard(pending, SlotPlanned(bytes(8), ACCOUNT, 0)) == (pending, False), "the oldest is forgotten"
    assert heard(pending, SlotPlanned((1).to_bytes(8, "big"), ACCOUNT, 0)).failed
    assert without(pending, [number.to_bytes(8, "big") for number in range(MAX_PENDING + 1)]) == b""


@given(
    planned=st.integers(0, 4),
    outcomes=st.lists(st.booleans(), min_size=4, max_size=4),
    order=st.permutations(range(5)),
    twice=st.booleans(),
)
def test_it_failed_exactly_when_nothing_of_it_was_accepted(
    planned: int, outcomes: list[bool], order: list[int], *, twice: bool
) -> None:
    words: list[SlotPlanned | Ended] = [SlotPlanned(A, ACCOUNT, planned)]
    words += [ended(A, number, accepted=outcomes[number]) for number in range(planned)]
    pending, failed = begun(b"", A), False
    for number in [*order, *(order if twice else [])]:
        if number < len(words):
            pending, now = heard(pending, words[number])
            failed = failed or now
    assert failed is not any(outcomes[:planned])
