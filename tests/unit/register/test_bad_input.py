"""Bad input: each record ends somewhere visible, and the stream goes on."""

from __future__ import annotations

import orjson
import pytest

from pushcast.register.writing import MAX_ROW_BYTES
from pushcast.stream.tracker import Record
from pushcast.wire.answers.dead_letters import STRIPPED
from pushcast.wire.answers.receipts import TokenInvalid, encode_token_invalid
from pushcast.wire.devices.devices import decode_row
from pushcast.wire.headers import APPENDED, FORWARDED, first
from pushcast.wire.schemas import avro_type
from pushcast.wire.topics import DEVICE, DEVICE_CHANGED, TOKEN_INVALID, dead_letter
from unit.register.test_stage import HOME, USER, register
from unit.register.twin import PARTITIONS, T0, Harness, TwinKafka, record

DLQ = dead_letter(DEVICE_CHANGED)


def letters(harness: Harness, partition: int = HOME, topic: str = DEVICE_CHANGED) -> list[Record]:
    return harness.kafka.log[dead_letter(topic), partition]


def reason(letter: Record) -> str:
    return (first(letter.headers, "push.errors.reason") or b"").decode()


def message(letter: Record) -> str:
    return (first(letter.headers, "__streams.errors.message") or b"").decode()


FRAME = avro_type("device_change").frame
BAD = {
    "not JSON": (USER, b"{nope", "not_json"),
    "not a frame": (USER, b"hello", "unknown_frame"),
    "unknown fingerprint": (USER, b"\xc3\x01" + bytes(8), "unknown_schema"),
    "truncated Avro": (USER, FRAME + b"\x00\x02", "undecodable"),
    "a tombstone": (USER, None, "tombstone"),
    "an unknown field": (USER, register(tokenn="x"), "unknown_field"),
    "an unknown app": (USER, register(app="nws"), "unknown_app"),
    "a token of 5,000 characters": (USER, register(token="ab" * 2500), "invalid_field"),
    "an APNs token that is not hex": (USER, register(token="xyz0"), "invalid_field"),
    "an empty token": (USER, register(token=""), "invalid_field"),
    "another user inside": (USER, register(user="user-2"), "invalid_field"),
    "an empty app, which keys of users have": (USER, register(app=""), "unknown_app"),
    "an empty device, which keys of users have": (USER, register(device=""), "invalid_field"),
    "a device with NUL": (USER, register(device="a\0b"), "invalid_field"),
    "a row beyond the limit": (USER, register(topics=["x" * 1000] * 100), "too_large"),
    "no key": (None, register(), "key_missing"),
    "a key that is not UTF-8": (b"\xff\xfe", register(), "key_not_utf8"),
    "a key of 300 bytes": (b"u" * 300, register(), "key_invalid"),
}


@pytest.mark.parametrize(("key", "value", "expected"), BAD.values(), ids=BAD.keys())
async def test_a_bad_record_becomes_a_dead_letter_as_it_came_and_the_next_one_is_handled(
    key: bytes | None, value: bytes | None, expected: str
) -> None:
    harness = Harness()
    bad = record(DEVICE_CHANGED, HOME, 0, key, value, [("x-mine", b"1")], T0 - 7)
    await harness.change(bad, record(DEVICE_CHANGED, HOME, 1, USER, register()))
    [letter] = letters(harness)
    assert (letter.key, letter.value, letter.timestamp) == (key, value, T0 - 7)
    assert first(letter.headers, "x-mine") == b"1"
    assert reason(letter) == expected
    assert first(letter.headers, "push.errors.stage") == b"register"
    assert len(harness.kafka.log[DEVICE, HOME]) == 1
    assert harness.counters["dead_letters", expected] == 1
    assert harness.committable(DEVICE_CHANGED, HOME) == 2


@pytest.mark.parametrize("said", [b"%d" % (T0 + 10**9), b"9" * 14, b"9" * 20, b"9" * 5000, b"soon", b"-1", None])
async def test_what_a_producer_says_of_a_first_append_neither_ends_a_registrar_nor_outranks_what_comes_later(
    said: bytes | None,
) -> None:
    harness = Harness()
    await harness.change(record(DEVICE_CHANGED, HOME, 0, USER, register(at=T0 + 10**12), [(APPENDED, said)], T0))
    [row] = [decode_row(value) for value in harness.row_values("user-1").values()]
    assert (row.registered_at, row.first_at) == (T0, T0)


async def test_a_dead_letter_never_quotes_the_token() -> None:
    harness = Harness()
    await harness.change((USER, register(token="secret-token")))
    [letter] = letters(harness)
    assert "secret" not in message(letter)
    assert "hex" in message(letter)


async def test_the_row_limit_is_in_the_message() -> None:
    harness = Harness()
    await harness.change((USER, register(topics=["x" * 1000] * 100)))
    assert str(MAX_ROW_BYTES) in message(letters(harness)[0])


AWAY = (HOME + 1) % PARTITIONS


async def test_a_record_in_the_wrong_partition_is_sent_once_to_its_own() -> None:
    harness = Harness()
    wrong = record(DEVICE_CHANGED, AWAY, 0, USER, register(), [("x-mine", b"1")], T0 - 7)
    await harness.change(wrong)
    [forwarded] = harness.kafka.log[DEVICE_CHANGED, HOME]
    assert (forwarded.key, forwarded.value, forwarded.timestamp) == (USER, wrong.value, T0 - 7)
    assert first(forwarded.headers, "x-mine") == b"1"
    assert first(forwarded.headers, FORWARDED) is not None
    assert harness.counters == {("forwarded", DEVICE_CHANGED): 1}
    assert harness.committable(DEVICE_CHANGED, AWAY) == 1
    await harness.change(forwarded)
    assert len(harness.row_values("user-1")) == 1


async def test_a_forwarded_record_in_the_wrong_partition_is_a_dead_letter_that_says_how_to_mend_the_producer() -> None:
    harness = Harness()
    await harness.change(record(DEVICE_CHANGED, AWAY, 0, USER, register(), [(FORWARDED, b"3")]))
    [letter] = letters(harness, AWAY)
    assert reason(letter) == "wrong_partition"
    assert "partitioner=murmur2_random" in message(letter)
    assert "user-1" not in message(letter)
    assert not harness.kafka.log[DEVICE_CHANGED, HOME]


async def test_a_verdict_in_the_wrong_partition_is_sent_on_too() -> None:
    harness = Harness()
    await harness.feed(TOKEN_INVALID, record(TOKEN_INVALID, AWAY, 0, USER, b"whatever"))
    assert len(harness.kafka.log[TOKEN_INVALID, HOME]) == 1


def verdict(user: str) -> bytes:
    return encode_token_invalid(TokenInvalid(user, "news", "d", "apns", b"x" * 16, "r", 410, None, 0, 0, ""))


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, "tombstone"), (b"{}", "unknown_frame"), (verdict("user-2"), "invalid_field")],
    ids=["a tombstone", "JSON", "another user inside"],
)
async def test_a_bad_verdict_is_a_dead_letter(value: bytes | None, expected: str) -> None:
    harness = Harness()
    await harness.feed(TOKEN_INVALID, record(TOKEN_INVALID, HOME, 0, USER, value))
    [letter] = letters(harness, topic=TOKEN_INVALID)
    assert reason(letter) == expected


async def test_a_record_that_is_too_large_to_be_sent_on_becomes_a_dead_letter() -> None:
    value = register()
    harness = Harness(TwinKafka(limits={DEVICE_CHANGED: len(USER) + len(value)}))
    await harness.change(record(DEVICE_CHANGED, AWAY, 0, USER, value))
    [letter] = letters(harness, AWAY)
    assert (reason(letter), letter.value) == ("too_large", value)
    assert harness.committable(DEVICE_CHANGED, AWAY) == 1


async def test_a_dead_letter_that_kafka_refuses_leaves_its_error_headers() -> None:
    harness = Harness(TwinKafka(limits={DLQ: 1000}))
    await harness.change(record(DEVICE_CHANGED, HOME, 0, USER, b"{" + b"x" * 2000, [("x-mine", b"1" * 2000)]))
    [letter] = letters(harness)
    assert (letter.key, letter.value, reason(letter)) == (None, None, "not_json")
    assert first(letter.headers, "__streams.errors.offset") == b"0"
    assert int(first(letter.headers, STRIPPED) or b"0") > 4000
    assert first(letter.headers, "x-mine") is None
    assert harness.committable(DEVICE_CHANGED, HOME) == 1


async def test_a_dead_letter_topic_that_takes_nothing_does_not_stop_the_stream(
    caplog: pytest.LogCaptureFixture,
) -> None:
    harness = Harness(TwinKafka(limits={DLQ: 0}))
    await harness.change(record(DEVICE_CHANGED, HOME, 0, USER, b"{"), record(DEVICE_CHANGED, HOME, 1, USER, register()))
    assert harness.committable(DEVICE_CHANGED, HOME) == 2
    assert len(harness.row_values("user-1")) == 1
    assert harness.counters["dead_letters_lost", "record_too_large"] == 1
    assert f"{DEVICE_CHANGED}[{HOME}]@0" in caplog.text


async def test_a_key_in_the_wrong_form_is_refused_where_it_lies() -> None:
    harness = Harness()
    for partition in range(PARTITIONS):
        await harness.change(record(DEVICE_CHANGED, partition, 0, b"\xff", orjson.dumps({"op": "forget_user"})))
        assert len(letters(harness, partition)) == 1
    assert harness.counters["dead_letters", "key_not_utf8"] == PARTITIONS
