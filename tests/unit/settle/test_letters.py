from __future__ import annotations

import orjson
import pytest

from pushcast.model.errors import InvalidInput
from pushcast.settle.letters import Filter, Raw, in_doubt, read_letter, redriven_headers
from pushcast.settle.shown import described
from pushcast.wire.answers.dead_letters import dead_letter
from pushcast.wire.sending.batches import encode_batch
from unit.send.twin import T0, message, record, send_batch

SEND = "push.send.apns.urgent.v1"
NOTES = "push.notification.bulk.v1"


def raw(topic: str, value: bytes | None, *headers: tuple[str, bytes | None], offset: int = 9) -> Raw:
    return Raw(topic + ".dlq", 3, offset, T0, b"u1", value, headers)


def test_our_own_letters_say_where_they_were_and_why() -> None:
    source = record(NOTES, 3, 77, b'{"id": 1}', b"u1", [("traceparent", b"00-1")])
    written = dead_letter(source, InvalidInput("unknown_field", "titel is not known", "titel"), stage="plan")
    letter = read_letter(raw(NOTES, written.value, *written.headers))
    assert (letter.family, letter.reason, letter.message, letter.stage) == (
        "pushcast",
        "unknown_field",
        "titel is not known",
        "plan",
    )
    assert (letter.source_topic, letter.source_partition, letter.source_offset) == (NOTES, 3, 77)
    assert (letter.attempts, letter.first_seen_at) == (1, T0)


def test_letters_of_kafka_streams_connect_and_spring_are_read() -> None:
    streams = read_letter(
        raw(
            NOTES,
            b"x",
            ("__streams.errors.exception", b"org.apache.kafka.common.errors.SerializationException"),
            ("__streams.errors.message", b"no magic"),
            ("__streams.errors.topic", b"in"),
            ("__streams.errors.partition", b"2"),
            ("__streams.errors.offset", b"41"),
        )
    )
    connect = read_letter(
        raw(
            NOTES,
            b"x",
            ("__connect.errors.topic", b"in"),
            ("__connect.errors.partition", b"2"),
            ("__connect.errors.offset", b"41"),
            ("__connect.errors.stage", b"VALUE_CONVERTER"),
            ("__connect.errors.exception.class.name", b"org.apache.kafka.connect.errors.DataException"),
            ("__connect.errors.exception.message", b"bad"),
        )
    )
    spring = read_letter(
        raw(
            NOTES,
            b"x",
            ("kafka_dlt-original-topic", b"in"),
            ("kafka_dlt-original-partition", (2).to_bytes(4, "big")),
            ("kafka_dlt-original-offset", (41).to_bytes(8, "big")),
            ("kafka_dlt-exception-fqcn", b"org.springframework.ListenerFailed"),
            ("kafka_dlt-exception-cause-fqcn", b"java.lang.IllegalStateException"),
            ("kafka_dlt-exception-message", b"bad"),
        )
    )
    for letter in (streams, connect, spring):
        assert (letter.source_topic, letter.source_partition, letter.source_offset) == ("in", 2, 41)
    found = [(letter.family, letter.reason, letter.message) for letter in (streams, connect, spring)]
    assert found == [
        ("streams", "SerializationException", "no magic"),
        ("connect", "DataException", "bad"),
        ("spring", "IllegalStateException", "bad"),
    ]
    assert connect.stage == "VALUE_CONVERTER"


def test_a_letter_whose_headers_are_missing_or_broken_is_read_as_far_as_it_goes() -> None:
    letter = read_letter(
        raw(NOTES, None, ("__streams.errors.offset", b"-4"), ("__streams.errors.topic", None), ("x", b"\xff"))
    )
    assert (letter.reason, letter.source_topic, letter.source_offset) == ("unknown", NOTES, None)
    spring = read_letter(raw(NOTES, None, ("kafka_dlt-original-offset", b"12")))
    assert (spring.family, spring.source_offset) == ("spring", None)


def test_of_repeated_headers_the_first_holds() -> None:
    letter = read_letter(raw(NOTES, None, ("push.errors.reason", b"one"), ("push.errors.reason", b"two")))
    assert letter.reason == "one"


def test_filters_go_by_topic_reason_app_and_time_of_first_sight() -> None:
    value = encode_batch(send_batch(message(1, app="news"), message(1, app="chat")))
    letter = read_letter(raw(SEND, value, ("push.errors.reason", b"rate_limited"), ("push.errors.first-seen", b"5000")))
    taken = [
        Filter(),
        Filter(topics=frozenset([SEND])),
        Filter(reasons=frozenset(["rate_limited", "other"])),
        Filter(apps=frozenset(["chat"])),
        Filter(since_ms=5000, until_ms=5001),
    ]
    refused = [
        Filter(topics=frozenset([NOTES])),
        Filter(reasons=frozenset(["other"])),
        Filter(apps=frozenset(["mail"])),
        Filter(since_ms=5001),
        Filter(until_ms=5000),
    ]
    assert [each.takes(letter) for each in taken] == [True] * 5
    assert [each.takes(letter) for each in refused] == [False] * 5


def test_the_app_of_an_event_is_found_even_when_its_fields_were_wrong() -> None:
    letter = read_letter(raw(NOTES, b'{"id": "1", "app": "news", "titel": "x"}'))
    assert letter.apps == {"news"}
    assert read_letter(raw(NOTES, b'{"app": ')).apps == frozenset()


@pytest.mark.parametrize("space", [b" ", b"\n", b"\r\n\t "])
def test_an_event_behind_white_space_is_found_by_its_app_and_id(space: bytes) -> None:
    letter = read_letter(raw(NOTES, space + b'{"id": "1", "app": "news", "titel": "x"}'))
    assert (letter.apps, letter.notifications) == ({"news"}, {"1"})
    for empty in (space, space + b"[]", b""):
        assert read_letter(raw(NOTES, empty)).apps == frozenset()
    assert read_letter(raw(NOTES, b"\xc3\x01junk")).apps == frozenset()


def test_what_is_shown_holds_no_token() -> None:
    batch = send_batch(message(2))
    change = {"op": "register", "app": "news", "token": "s3cret", "subscription": {"auth": "s3cret"}, "at": "x"}
    shown = [
        described(read_letter(raw(SEND, encode_batch(batch)))),
        described(read_letter(raw("push.device.changed.v1", orjson.dumps(change)))),
    ]
    assert shown[0]["deliveries"][1]["user"] == "u1"
    assert shown[1]["event"] == {"op": "register", "app": "news", "at": "x"}
    page = orjson.dumps(shown)
    assert b"s3cret" not in page
    assert b"token-0" not in page


def test_a_redriven_record_counts_its_run_and_climbs_the_ladder_anew() -> None:
    headers = [
        ("traceparent", b"00-1"),
        ("push-attempt", b"5"),
        ("push-origin", b"plan-bulk/3"),
        ("push-epoch", b"9"),
        ("push-doubtful", b"1"),
        ("push-came-from", b"a|1|2"),
        ("push.errors.reason", b"rate_limited"),
        ("__streams.errors.offset", b"7"),
        ("__connect.errors.topic", b"in"),
        ("kafka_dlt-original-topic", b"in"),
    ]
    letter = read_letter(raw(SEND, encode_batch(send_batch(message(1), run=2)), *headers))
    kept, run = redriven_headers(letter)
    assert run == 3
    assert kept == [
        ("traceparent", b"00-1"),
        ("push-doubtful", b"1"),
        ("push-run", b"3"),
        ("push-came-from", f"{SEND}.dlq|3|9".encode()),
    ]


def test_a_redriven_event_says_when_it_was_first_appended() -> None:
    moved = raw(NOTES, b'{"id": 1}', ("push-appended", b"77"))
    assert ("push-appended", b"%d" % T0) in redriven_headers(read_letter(raw(NOTES, b'{"id": 1}')))[0]
    assert [value for name, value in redriven_headers(read_letter(moved))[0] if name == "push-appended"] == [b"77"]


@pytest.mark.parametrize(("run", "then"), [(b"4", 5), (b"many", 1)])
def test_an_event_has_its_run_in_the_header(run: bytes, then: int) -> None:
    assert redriven_headers(read_letter(raw(NOTES, b"{}", ("push-run", run))))[1] == then


def test_what_may_have_arrived_is_in_doubt() -> None:
    assert in_doubt(read_letter(raw(SEND, None, ("push.errors.reason", b"unknown_outcome"))))
    assert in_doubt(read_letter(raw(SEND, None, ("push-doubtful", b"1"))))
    assert not in_doubt(read_letter(raw(SEND, None, ("push.errors.reason", b"rate_limited"))))
