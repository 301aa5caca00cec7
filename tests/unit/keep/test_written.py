"""What is known of rows that come back is what is in them, and is forgotten when they do not come."""

from __future__ import annotations

import pytest

from pushcast.keep.index import entries_of, entry_of
from pushcast.keep.written import WrittenEntries
from pushcast.wire.waiting.timers import Timer, encode_timer, timer_key

KEY = timer_key("u", "n")


def row(offset: int) -> tuple[bytes, bytes]:
    """A row and its entry."""
    timer = Timer("normal", offset, 1_000, 900, event=b"{}")
    entry = entry_of(KEY, timer)
    assert entry is not None
    return encode_timer(timer), entry


def test_an_entry_that_was_noted_is_not_read_from_its_row_and_is_known_once() -> None:
    written = WrittenEntries()
    value, entry = row(1)
    written.note([(KEY, value, b"noted")])
    assert written.of([(KEY, value)]) == [b"noted"]
    assert written.of([(KEY, value)]) == [entry]


def test_a_row_that_somebody_else_wrote_has_the_entry_that_is_in_it() -> None:
    written = WrittenEntries()
    mine, entry = row(1)
    other, of_other = row(2)
    written.note([(KEY, mine, entry)])
    assert written.of([(KEY, other)]) == [of_other] == list(entries_of(KEY, other))
    assert written.of([(KEY, mine)]) == [entry]


def test_rows_that_never_come_back_fill_nothing_up() -> None:
    written = WrittenEntries(limit=10)
    value, entry = row(1)
    for number in range(95):
        written.note([(b"%d" % number, value, entry)])
    assert len(written._known) <= 10
    assert written.of([(KEY, value)]) == [entry]


def test_a_row_that_this_release_cannot_read_is_counted_and_told_once(caplog: pytest.LogCaptureFixture) -> None:
    written = WrittenEntries()
    keys = timer_key("ann", "n-1"), timer_key("ann", "n-2"), b"ann\0d\0hash\0normal|1"
    assert written.of([(key, b"of a later release") for key in keys]) == []
    assert written.unreadable == 3
    assert len(caplog.messages) == 1
    member = Timer("normal", 5, 10, 1, event=b"{}", digest="normal|1")
    assert written.of([(timer_key("ann", "n-3"), encode_timer(member))]) == [], "it waits for its digest"
    assert written.unreadable == 3
