"""What a fenced-off writer still writes stays out of a table, in every copy, after every restart."""

from __future__ import annotations

import random

import pytest

from pushcast.handover.guard import VOID_PREFIX, RowGuard
from pushcast.stream.tracker import Record
from pushcast.wire.devices.row_fences import KEY, OLD_KEY, records
from pushcast.wire.headers import CE_ID, origin
from twins.kafka import record

OURS = "register/3"


def row(offset: int, key: bytes, epoch: int, value: bytes | None = b"v", stage: str = "register") -> Record:
    return record("t", 3, offset, key, value, origin(stage, 3, epoch))


def fence(offset: int, epoch: int, key: bytes = KEY, of: str = OURS) -> Record:
    return row(offset, key, epoch, records(of, epoch)[key])


def test_a_row_below_the_fence_is_void_and_its_key_is_remembered() -> None:
    guard = RowGuard(OURS)
    judged = guard.judge([row(0, b"a", 1), fence(1, 2), row(2, b"a", 1), row(3, b"b", 2)])
    assert judged.admitted == [0, 1, 3]
    assert judged.rows == [(b"a", b"v"), (KEY, records(OURS, 2)[KEY]), (VOID_PREFIX + b"a", b"2"), (b"b", b"v")]
    assert (judged.void, guard.epoch, guard.void) == (1, 2, {b"a": 2})


def test_a_row_that_counts_makes_its_key_whole_again() -> None:
    guard = RowGuard(OURS)
    guard.judge([fence(0, 2), row(1, b"a", 1), row(2, b"a", 1, None)])
    judged = guard.judge([row(3, b"a", 2, None)])
    assert judged.rows == [(VOID_PREFIX + b"a", None), (b"a", None)]
    assert guard.void == {}


def test_what_is_stored_in_the_copy_is_all_that_is_needed_to_go_on() -> None:
    guard = RowGuard(OURS)
    stored = dict(guard.judge([fence(0, 7), row(1, b"a", 1)]).rows)
    again = RowGuard(OURS, [(key, value) for key, value in stored.items() if value is not None])
    assert (again.epoch, again.void) == (7, {b"a": 1})
    assert again.judge([row(2, b"b", 6)]).admitted == []


def test_a_late_fence_of_a_lower_epoch_is_void_too() -> None:
    guard = RowGuard(OURS)
    judged = guard.judge([fence(0, 7), fence(1, 6), row(2, b"a", 6)])
    assert judged.admitted == [0]
    assert guard.void == {KEY: 1, b"a": 2}
    guard.judge([fence(3, 7)])
    assert guard.void == {b"a": 2}


def test_other_writers_and_rows_without_an_epoch_are_not_judged() -> None:
    guard = RowGuard(OURS)
    guard.judge([fence(0, 7)])
    others = [
        row(1, b"a", 1, stage="import"),
        record("t", 3, 2, b"b", b"v"),
        record("t", 3, 3, b"c", b"v", [("push-origin", OURS.encode()), ("push-epoch", b"soon")]),
        record("t", 3, 4, b"d", b"v", [("push-origin", OURS.encode())]),
    ]
    assert guard.judge(others).admitted == [0, 1, 2, 3]


def test_a_fence_that_cannot_be_read_or_is_of_another_origin_is_void_and_a_record_without_key_is_skipped() -> None:
    guard = RowGuard(OURS)
    bad = [row(0, OLD_KEY, 9, b"nine"), row(1, KEY, 9, b"9"), row(2, KEY, 9, None), fence(3, 9, of="register/4")]
    judged = guard.judge([*bad, record("t", 3, 4, None, b"v"), row(5, b"a", 0)])
    assert (judged.admitted, guard.epoch) == ([5], 0)


@pytest.mark.parametrize(("first", "second"), [(KEY, OLD_KEY), (OLD_KEY, KEY)])
def test_f5_of_the_fences_of_two_releases_the_greater_epoch_counts_after_a_restart_too(
    first: bytes, second: bytes
) -> None:
    guard = RowGuard(OURS)
    stored = dict(guard.judge([fence(0, 7, first), fence(1, 8, second), row(2, b"a", 7)]).rows)
    for each in (guard, RowGuard(OURS, [(key, value) for key, value in stored.items() if value is not None])):
        assert (each.epoch, each.void) == (8, {b"a": 2})
        assert each.judge([fence(3, 7, first)]).admitted == []


@pytest.mark.parametrize("seed", range(20))
def test_in_any_order_of_owners_and_fences_a_row_is_void_below_the_last_fence_and_nowhere_else(seed: int) -> None:
    rnd = random.Random(seed)
    guard, fenced, offset = RowGuard(OURS), 0, 0
    for _ in range(60):
        records_, void = [], []
        for at in range(rnd.randrange(6)):
            epoch = rnd.randrange(1, 7)
            if rnd.random() < 0.2:
                records_.append(fence(offset, epoch))
                is_void = epoch < fenced
                fenced = max(fenced, epoch)
            else:
                stage = rnd.choice(["register", "register", "keep"])
                tagged = [(CE_ID, b"%d" % offset), *origin(stage, 3, epoch)]
                records_.append(record("t", 3, offset, b"k%d" % rnd.randrange(5), b"v", tagged))
                is_void = stage == "register" and epoch < fenced
            void += [at] if is_void else []
            offset += 1
        judged = guard.judge(records_)
        assert judged.admitted == [at for at in range(len(records_)) if at not in void]
        assert judged.void == len(void)
        assert guard.epoch == fenced
