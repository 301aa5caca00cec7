"""No record stops a stage: whatever it is, it ends at its place, at another one, or as a dead letter."""

from __future__ import annotations

import logging
from collections import Counter

import pytest

from pushcast.model.errors import InvalidInput
from pushcast.model.ids import partition_of
from pushcast.stream.edge import Edge, Misplaced, check_place
from pushcast.stream.tracker import Record
from pushcast.wire.answers.dead_letters import STRIPPED
from pushcast.wire.headers import FORWARDED, Headers, first
from twins.kafka import TwinOutbox, record

TOPIC, DLQ = "events", "events.dlq"
PARTITIONS = 8
KEY = b"user-1"
HOME = partition_of(KEY, PARTITIONS)
WRONG = InvalidInput("not_json", "it is not", "value")


class Desk:
    """An edge with its outbox; `done` counts records that are done."""

    def __init__(self, **limits: int) -> None:
        self.outbox = TwinOutbox(limits={name.replace("_", "."): size for name, size in limits.items()})
        self.counts: Counter[tuple[str, str]] = Counter()
        self.edge = Edge("plan", self.outbox, self._count)
        self.done = 0

    def _count(self, name: str, word: str, by: int) -> None:
        self.counts[name, word] += by

    def finish(self) -> None:
        self.done += 1

    def acknowledge_all(self) -> None:
        while self.outbox.pending:
            self.outbox.acknowledge()


def event(value: bytes | None = b"v", headers: Headers = (), partition: int = HOME) -> Record:
    return record(TOPIC, partition, 7, KEY, value, headers, 5)


ODD: dict[str, Headers] = {
    "a null value": [("a", None)],
    "a null value of ours": [("push-origin", None), ("traceparent", None)],
    "an empty name": [("", b"1")],
    "a name of 40 KB": [("n" * 40_000, b"1")],
    "one name many times": [("a", b"%d" % n) for n in range(500)],
}


@pytest.mark.parametrize("headers", ODD.values(), ids=ODD.keys())
def test_a_dead_letter_has_the_record_as_it_came_whatever_its_headers_are(headers: Headers) -> None:
    desk = Desk()
    desk.edge.bury(event(headers=headers), WRONG, desk.finish)
    assert desk.done == 0
    desk.acknowledge_all()
    [letter] = desk.outbox.log
    assert (letter.topic, letter.partition, letter.value, letter.key) == (DLQ, HOME, b"v", KEY)
    assert list(letter.headers)[: len(headers)] == list(headers)
    assert first(letter.headers, "push.errors.field") == b"value"
    assert desk.done == 1
    assert desk.counts == {("dead_letters", "not_json"): 1}


def test_a_letter_that_is_too_large_is_left_without_its_value() -> None:
    desk = Desk(events_dlq=2_000)
    desk.edge.bury(event(b"x" * 5_000, [("mine", None)]), WRONG, desk.finish)
    desk.acknowledge_all()
    [letter] = desk.outbox.log
    assert (letter.key, letter.value) == (KEY, None)
    assert ("mine", None) in letter.headers
    assert int(first(letter.headers, STRIPPED) or b"") > 5_000
    assert desk.done == 1


def test_headers_that_are_too_large_alone_are_left_out_too() -> None:
    desk = Desk(events_dlq=2_000)
    desk.edge.bury(event(b"x" * 5_000, [("n" * 40_000, b"1")]), WRONG, desk.finish)
    desk.acknowledge_all()
    [letter] = desk.outbox.log
    assert (letter.key, letter.value) == (None, None)
    assert first(letter.headers, "__streams.errors.offset") == b"7"
    assert int(first(letter.headers, STRIPPED) or b"") > 45_000
    assert desk.done == 1


def test_a_letter_of_which_nothing_is_taken_is_counted_and_logged_and_the_stream_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    desk = Desk(events_dlq=0)
    desk.edge.bury(event(), WRONG, desk.finish)
    desk.acknowledge_all()
    assert desk.outbox.log == []
    assert desk.done == 1
    assert desk.counts["dead_letters_lost", "record_too_large"] == 1
    assert f"{TOPIC}[{HOME}]@7 (not_json)" in caplog.text


def test_a_record_is_moved_to_the_partition_of_its_key_once() -> None:
    away = (HOME + 1) % PARTITIONS
    with pytest.raises(Misplaced) as misplaced:
        check_place(event(partition=away), PARTITIONS)
    desk = Desk()
    desk.edge.forward(event(partition=away, headers=[("mine", None)]), misplaced.value.right, desk.finish)
    desk.acknowledge_all()
    [moved] = desk.outbox.log
    assert (moved.topic, moved.partition, moved.value, moved.timestamp_ms) == (TOPIC, HOME, b"v", 5)
    assert desk.done == 1
    with pytest.raises(InvalidInput) as again:
        check_place(event(partition=away, headers=moved.headers), PARTITIONS)
    assert again.value.reason == "wrong_partition"


def test_the_mark_of_a_moved_record_counts_without_a_value() -> None:
    with pytest.raises(InvalidInput, match="forwarded once"):
        check_place(event(partition=(HOME + 1) % PARTITIONS, headers=[(FORWARDED, None)]), PARTITIONS)


def test_a_record_that_is_too_large_with_one_more_header_is_a_dead_letter_where_it_lies() -> None:
    away = (HOME + 1) % PARTITIONS
    desk = Desk(events=len(KEY) + 100)
    desk.edge.forward(event(b"x" * 100, partition=away), HOME, desk.finish)
    desk.acknowledge_all()
    [letter] = desk.outbox.log
    assert (letter.topic, letter.partition, first(letter.headers, "push.errors.reason")) == (DLQ, away, b"too_large")
    assert desk.done == 1


@pytest.mark.parametrize("error", [OverflowError("secret"), TypeError(), RecursionError(), KeyError("secret")])
def test_what_a_decoder_raises_is_a_reason_that_quotes_nothing_and_one_traceback(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    desk = Desk()
    reasons = [desk.edge.refusal(event(), error) for _ in range(3)]
    assert {reason.reason for reason in reasons} == {"undecodable"}
    assert type(error).__name__ in str(reasons[0])
    assert "secret" not in str(reasons[0])
    assert desk.counts == {("decoder_errors", ""): 3}
    assert [entry.levelno for entry in caplog.records if entry.exc_info] == [logging.ERROR]


def test_a_reason_that_a_decoder_gave_is_kept() -> None:
    desk = Desk()
    assert desk.edge.refusal(event(), WRONG) is WRONG
    assert not desk.counts
