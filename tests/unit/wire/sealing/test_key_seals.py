"""What registrars tell of how often keys have sealed."""

from __future__ import annotations

from pushcast.wire.sealing.key_seals import SealCounts, encode, gone, key_of, told, total

NOW = 1_800_000_000_000
HOUR_MS = 3_600_000
A, B, C = (key_of(name) for name in "abc")


def counts(seals: int, at_ms: int = NOW) -> SealCounts:
    return SealCounts(at_ms, {"t1": seals})


def test_the_last_word_of_each_process_counts_and_others_records_do_not() -> None:
    records = [
        (A, encode(counts(3))),
        (A, encode(counts(5))),
        (B, encode(counts(7))),
        (b"keyring/x", b"{}"),
        (None, b""),
        (C, b"not ours"),
    ]
    assert told(records) == {A: counts(5), B: counts(7)}
    assert total(told(records)) == {"t1": 12}
    assert told([*records, (A, None)]) == {B: counts(7)}


def test_the_first_that_is_there_takes_over_from_those_that_are_gone() -> None:
    known = {A: counts(3, NOW - HOUR_MS - 1), B: counts(5), C: counts(7)}
    assert gone(known, B, NOW) == [A]
    assert gone(known, C, NOW) == []
    assert gone({**known, A: counts(3)}, B, NOW) == []


def test_a_process_that_was_silent_itself_is_there() -> None:
    assert gone({A: counts(3, 0), B: counts(5, 0)}, A, NOW) == [B]
