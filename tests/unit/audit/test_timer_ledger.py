"""I3 of reference/time.md: what was held is waiting, released once, or not yet read."""

from __future__ import annotations

from collections import Counter

from pushcast.audit.timer_ledger import Named, settle
from pushcast.audit.timers import TimerRelease, release_of
from pushcast.model.errors import InvalidInput
from pushcast.model.words import Reason
from pushcast.settle.letters import Raw, read_letter, redriven_headers
from pushcast.wire.answers.dead_letters import dead_letter
from pushcast.wire.headers import origin
from pushcast.wire.waiting.held import Released, released_headers
from pushcast.wire.waiting.timers import Timer
from twins.kafka import record

NOW = 1_800_000_000_000


def named(offset: int, lane: str = "normal") -> Named:
    return Named(3, f"{lane}|{offset}")


def timer(offset: int, due_at: int = NOW + 1, closed_at: int | None = None) -> Timer:
    return Timer("normal", offset, due_at, NOW, closed_at=closed_at)


def test_every_timer_has_one_place() -> None:
    held = {named(offset): offset for offset in range(6)}
    due = {named(0): Counter({"": 1}), named(1): Counter({"cancelled": 1})}
    rows = {named(0): timer(0, closed_at=NOW), named(2): timer(2), named(3): timer(3, NOW - 60_001)}
    totals = settle(held, due, rows, {("normal", 3): 4}, NOW)
    assert totals.to_dict() == {
        "held": 6,
        "released": 1,
        "closed_early": 1,
        "waiting": 2,
        "overdue": 1,
        "unread": 2,
        "twice": 0,
        "lost": 0,
        "unbalanced": [],
    }
    assert totals.balanced


def test_what_waits_behind_others_for_its_rate_is_not_overdue_until_it_ends() -> None:
    slow = Timer("bulk", 1, NOW - 3_600_000, NOW, pace="campaign/xmas")
    ending = Timer("bulk", 2, 0, NOW, pace="campaign/xmas", closes="cancelled")
    totals = settle({}, {}, {named(1, "bulk"): slow, named(2, "bulk"): ending}, {}, NOW)
    assert (totals.waiting, totals.overdue) == (2, 1)


def test_one_that_is_nowhere_is_lost_and_named() -> None:
    totals = settle({named(7): 7}, {}, {}, {("normal", 3): 8}, NOW)
    assert not totals.balanced
    assert totals.unbalanced == ["push.keep.normal.v1[3]@7: neither waiting nor released"]


def test_one_that_was_released_twice_is_named() -> None:
    totals = settle({named(7): 7}, {named(7): Counter({"": 2})}, {}, {}, NOW)
    assert (totals.twice, totals.released) == (1, 1)
    assert totals.unbalanced == ["push.keep.normal.v1[3]@7: released 2 times"]


def test_what_was_released_while_the_ledger_was_read_is_released() -> None:
    totals = settle({named(1): 1}, {named(1): Counter({"": 1})}, {named(1): timer(1)}, {}, NOW)
    assert (totals.released, totals.waiting) == (1, 0)


def test_a_timer_outlives_its_keep_record() -> None:
    totals = settle({}, {}, {named(1): timer(1), named(2): timer(2, closed_at=NOW)}, {}, NOW)
    assert (totals.held, totals.waiting, totals.balanced) == (1, 1, True)


def test_a_dead_letter_that_was_redriven_is_no_second_release() -> None:
    released = released_headers(origin("keep", 3, 1), "normal|7|ann\0t\0n-1", Released(5, None), "", None)
    assert release_of(released) == TimerRelease("normal|7", "")
    buried = dead_letter(
        record("push.due.normal.v1", 3, 0, b"ann", b"{}", released, 5),
        InvalidInput(Reason.UNKNOWN_CLASS, "class: there is none called gone", "class"),
        stage="plan-normal",
    )
    raw = Raw(buried.topic, 3, 0, 5, buried.key, buried.value, buried.headers)
    assert release_of(redriven_headers(read_letter(raw))[0]) is None
