"""What is a copy, and what is not."""

from __future__ import annotations

import logging
from collections import Counter

import pytest

from pushcast.handover.copies import LEAST_BYTES, Copies
from pushcast.stream.batch import TP
from pushcast.wire import headers as h
from pushcast.wire.sending.retries import SENT_FROM
from twins.kafka import record

MINE = h.origin("plan-urgent", 3, 7)
HERE = TP("push.send.apns.urgent.v1", 3)


def test_the_second_of_two_equal_records_is_a_copy_and_so_is_a_third() -> None:
    copies = Copies()
    assert [copies.is_copy(MINE, b"a", offset) for offset in (5, 9, 10)] == [False, True, True]


def test_a_record_that_is_read_again_gets_the_same_answer() -> None:
    copies = Copies()
    for _ in range(2):
        assert [copies.is_copy(MINE, b"a", offset) for offset in (5, 9)] == [False, True]


def test_the_values_and_all_headers_tell_records_apart() -> None:
    copies = Copies()
    others = [h.origin("plan-urgent", 3, 8), h.origin("plan-urgent", 4, 7), [*MINE, ("traceparent", b"1")]]
    assert not copies.is_copy(MINE, b"a", 1)
    assert not copies.is_copy(MINE, b"b", 2)
    assert not any(copies.is_copy(headers, b"a", 3 + at) for at, headers in enumerate(others))


def test_what_a_sender_writes_names_the_record_that_it_comes_of() -> None:
    copies = Copies()
    answers = [copies.is_copy([(SENT_FROM, b"g|%d" % offset)], b"a", at) for at, offset in enumerate((1, 2, 1))]
    assert answers == [False, False, True]


@pytest.mark.parametrize("headers", [[], [("traceparent", b"1")], [("x-origin", None)]])
def test_of_records_that_no_stage_wrote_nobody_knows(headers: h.Headers) -> None:
    copies = Copies()
    assert not any(copies.is_copy(headers, b"a", offset) for offset in (1, 2))


def test_fences_are_no_copies() -> None:
    copies = Copies()
    assert not any(copies.is_copy([*MINE, (h.FENCE, b"1")], None, offset) for offset in (1, 2))


def test_so_many_records_are_remembered_at_least_and_twice_as_many_at_most() -> None:
    copies = Copies(least=4)
    for offset in range(100):
        assert not copies.is_copy(MINE, b"%d" % offset, offset)
        for before in range(max(0, offset - 3), offset + 1):
            assert copies.is_copy(MINE, b"%d" % before, 1000)
    assert sum(copies.is_copy(MINE, b"%d" % offset, 1000) for offset in range(90)) < 8


def test_of_large_records_so_many_bytes_are_remembered() -> None:
    copies, size, count = Copies(), LEAST_BYTES // 8, 100
    for offset in range(count):
        assert not copies.is_copy(MINE, b"%d" % offset + bytes(size), offset)
    newest_first = reversed(range(count))
    known = [offset for offset in newest_first if copies.is_copy(MINE, b"%d" % offset + bytes(size), 1000 + offset)]
    assert known[:8] == list(reversed(range(count - 8, count)))
    assert len(known) <= 2 * 8


def test_the_first_copy_is_logged_without_its_content_and_all_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    copies, counted = Copies(), Counter[tuple[str, str]]()

    def count(name: str, word: str, by: int) -> None:
        counted[name, word] += by

    with caplog.at_level(logging.WARNING):
        records = [record(HERE.topic, 3, offset, None, b"secret", MINE) for offset in (1, 2, 3)]
        assert [copies.leaves_out(HERE, each, count) for each in records] == [False, True, True]
    assert counted == {("copies", ""): 2}
    [line] = caplog.messages
    assert line.startswith("push.send.apns.urgent.v1[3]@2: a client of Kafka")
    assert "secret" not in line
