"""What a fenced-off writer still writes stays out of a table, in every copy, after every restart."""

from __future__ import annotations

from pushcast.handover.guard import FENCE_KEY, VOID_PREFIX, RowGuard
from pushcast.stream.tracker import Record
from pushcast.wire.headers import origin
from twins.kafka import record

OURS = "register/3"


def row(offset: int, key: bytes, epoch: int, value: bytes | None = b"v", stage: str = "register") -> Record:
    return record("t", 3, offset, key, value, origin(stage, 3, epoch))


def fence(offset: int, epoch: int) -> Record:
    return row(offset, FENCE_KEY, epoch, b"%d" % epoch)


def test_a_row_below_the_fence_is_void_and_its_key_is_remembered() -> None:
    guard = RowGuard(OURS)
    judged = guard.judge([row(0, b"a", 1), fence(1, 2), row(2, b"a", 1), row(3, b"b", 2)])
    assert judged.admitted == [0, 1, 3]
    assert judged.rows == [(b"a", b"v"), (FENCE_KEY, b"2"), (VOID_PREFIX + b"a", b"2"), (b"b", b"v")]
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
    assert guard.void == {FENCE_KEY: 1, b"a": 2}
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


def test_a_fence_that_is_no_number_is_void_and_a_record_without_key_is_skipped() -> None:
    guard = RowGuard(OURS)
    judged = guard.judge([row(0, FENCE_KEY, 9, b"nine"), record("t", 3, 1, None, b"v"), row(2, b"a", 0)])
    assert (judged.admitted, guard.epoch) == ([2], 0)
