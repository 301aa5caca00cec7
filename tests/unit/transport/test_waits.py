"""Why an App does not get on: what health and metrics say of it (rulings I.15)."""

from __future__ import annotations

from faust.types import TP

from pushcast.handover.reading import TailHeld
from pushcast.transport.records import Unreadable
from pushcast.transport.waits import Waits

INPUT, TAIL = TP("push.notification.urgent.v1", 3), TP("push.receipt.v1", 3)


def test_a_partition_counts_from_the_first_fetch_that_found_it_held_until_one_does_not() -> None:
    waits = Waits()
    waits.hold([INPUT], 10.0)
    waits.hold([INPUT], 25.0)
    assert waits.held_seconds(30.0) == {INPUT: 20.0}
    waits.hold([], 31.0)
    assert waits.held_seconds(32.0) == {}


def test_a_take_over_before_a_transaction_names_it_and_counts_from_its_first_attempt() -> None:
    waits, takeover = Waits(), object()
    for at in (10.0, 26.0):
        waits.failed(takeover, TailHeld([(TAIL.topic, TAIL.partition)]), at)
    assert waits.problems() == [
        "a take-over is held up, and tried again: waits for a transaction on push.receipt.v1[3]"
    ]
    assert waits.held_seconds(30.0) == {TAIL: 20.0}
    waits.over(takeover)
    assert (waits.problems(), waits.held_seconds(40.0)) == ([], {})


def test_another_error_is_told_and_no_transaction_any_more() -> None:
    waits, takeover = Waits(), object()
    waits.failed(takeover, TailHeld([(TAIL.topic, TAIL.partition)]), 10.0)
    waits.failed(takeover, TimeoutError(), 20.0)
    assert waits.problems() == ["a take-over is held up, and tried again: TimeoutError"]
    assert waits.held_seconds(30.0) == {}


def test_of_many_places_some_are_named() -> None:
    spots = [("t", number) for number in range(5)]
    assert str(TailHeld(spots)) == "waits for a transaction on t[0], t[1], t[2] and 2 more"


def test_what_cannot_be_read_is_told_once_and_stands_until_it_was_read() -> None:
    waits, damage = Waits(), Unreadable(7, "CorruptRecordException: Invalid CRC")
    told = waits.unreadable({INPUT: damage}, {})
    assert told == waits.problems()
    assert "push.notification.urgent.v1[3] cannot be read from offset 7" in told[0]
    assert waits.unreadable({}, {}) == [], "it is being fetched again"
    assert waits.unreadable({INPUT: damage}, {}) == []
    assert waits.unreadable({INPUT: damage._replace(offset=9)}, {INPUT: [8]}) != []
    assert waits.unreadable({}, {INPUT: [9]}) == []
    assert waits.problems() == []
    waits.unreadable({INPUT: damage}, {})
    waits.gone()
    assert waits.problems() == []
