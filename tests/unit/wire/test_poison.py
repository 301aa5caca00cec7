"""Values that once ended a process: each has a reason, a field and a limit, whatever the format is."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from pushcast.model.errors import InvalidInput
from pushcast.model.notification import MAX_BADGE, Options
from pushcast.model.words import Platform
from pushcast.wire.avro_bytes import long_at, long_of
from pushcast.wire.devices.devices import DeviceChangeDecoder
from pushcast.wire.events.class_rules import ClassRule
from pushcast.wire.events.notifications import NotificationDecoder
from pushcast.wire.schemas import avro_type
from pushcast.wire.sending.batches import check_message, decode_batch, encode_batch
from pushcast.wire.sending.tickets import TicketBatch, decode_tickets
from unit.send.twin import message, send_batch

T0 = 1_800_000_000_000
BEYOND = [2**31, 2**32, 2**63 - 1, 2**63, 2**64, 10**29, -1, -(2**31), -(2**63) - 1, -(10**29)]
NOTES = NotificationDecoder(["news"], {"default": ClassRule(86_400_000)})
CHANGES = DeviceChangeDecoder({"news"})
REGISTER = {"op": "register", "app": "news", "device": "d", "platform": "fcm", "token": "t" * 30}


def note(**changes: Any) -> bytes:
    return json.dumps({"id": "n", "title": "t", **changes}).encode()


def activity(**changes: Any) -> bytes:
    state = {"event": "update", "content_state": {"a": 1}, **changes}
    return note(options={"push_type": "liveactivity", "live_activity": state})


def refused(decode: Callable[[], object]) -> InvalidInput:
    with pytest.raises(InvalidInput) as caught:
        decode()
    return caught.value


def note_refused(value: bytes, at: int = T0) -> InvalidInput:
    return refused(lambda: NOTES.decode("u", value, at))


@pytest.mark.parametrize("badge", BEYOND)
def test_a_badge_beyond_31_bits_is_named_with_its_limit(badge: int) -> None:
    error = note_refused(note(options={"badge": badge}))
    assert (error.reason, error.field) == ("invalid_field", "options.badge")


@pytest.mark.parametrize("badge", [2**31, 2**40, 2**62, -1, -(2**31)])
def test_a_badge_in_avro_is_held_to_the_same_limit(badge: int) -> None:
    kind = avro_type("notification")
    right = {"id": "n", "title": "t", "options": {"badge": 77_777}}
    value = kind.encode(right).replace(long_of(77_777), long_of(badge))
    error = note_refused(value)
    assert (error.reason, error.field) == ("invalid_field", "options.badge")
    assert str(MAX_BADGE) in str(error) or "0" in str(error)


def test_the_largest_badge_is_taken_in_both_formats() -> None:
    options = {"badge": MAX_BADGE}
    avro = avro_type("notification").encode({"id": "n", "title": "t", "options": options})
    assert NOTES.decode("u", avro, T0) == NOTES.decode("u", note(options=options), T0)


@pytest.mark.parametrize("field", ["created_at", "expires_at"])
@pytest.mark.parametrize("number", [2**53, 2**63, 2**64, 10**29, -1, -(2**63) - 1])
def test_times_beyond_their_range_are_named(field: str, number: int) -> None:
    error = note_refused(note(**{field: number}))
    assert (error.reason, error.field) == ("invalid_field", field)


@pytest.mark.parametrize("field", ["timestamp", "stale_at", "dismissal_at"])
@pytest.mark.parametrize("number", [2**63, 2**64, 10**29, -1])
def test_times_of_a_live_activity_beyond_their_range_are_named(field: str, number: int) -> None:
    error = note_refused(activity(**{field: number}))
    assert (error.reason, error.field) == ("invalid_field", f"options.live_activity.{field}")


@pytest.mark.parametrize("number", [2**63, 2**64, 10**29, -1, 1_800_000_000])
def test_a_device_change_at_an_impossible_time_is_named(number: int) -> None:
    value = json.dumps({**REGISTER, "at": number}).encode()
    error = refused(lambda: CHANGES.decode("u", value, T0))
    assert (error.reason, error.field) == ("invalid_field", "at")


def nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {"leaf": 1}
    for _ in range(depth - 1):
        value = {"a": value}
    return value


@pytest.mark.parametrize("depth", [65, 254, 600, 900])
@pytest.mark.parametrize("field", ["content_state", "attributes"])
@pytest.mark.parametrize("form", [lambda value: value, json.dumps], ids=["an object", "its text"])
def test_deep_nesting_is_refused_with_field_and_limit(depth: int, field: str, form: Callable[[Any], Any]) -> None:
    error = note_refused(activity(**{field: form(nested(depth))}))
    assert (error.reason, error.field) == ("invalid_field", f"options.live_activity.{field}")
    assert "64" in str(error)


def test_lists_count_as_nesting() -> None:
    assert "64" in str(note_refused(activity(content_state={"a": json.loads("[" * 64 + "]" * 64)})))


def test_nesting_up_to_the_limit_is_taken() -> None:
    assert NOTES.decode("u", activity(content_state=nested(64)), T0).options.live_activity is not None


def test_nesting_beyond_what_a_parser_takes_names_the_limit() -> None:
    value = activity(content_state="@").replace(b'"@"', b'{"a":' * 5_000 + b"1" + b"}" * 5_000)
    assert "64" in str(note_refused(value))


@pytest.mark.parametrize("number", [2**64, -(2**63) - 1, 10**29])
def test_a_number_of_a_live_activity_beyond_64_bits_is_refused(number: int) -> None:
    error = note_refused(activity(content_state={"list": [{"n": number}]}))
    assert (error.reason, error.field) == ("invalid_field", "options.live_activity.content_state")


@pytest.mark.parametrize("score", [float("nan"), float("inf"), float("-inf")])
def test_a_relevance_score_in_avro_is_a_finite_number(score: float) -> None:
    state = {"event": "update", "content_state": "{}", "relevance_score": score}
    options = {"push_type": "liveactivity", "live_activity": state}
    error = note_refused(avro_type("notification").encode({"id": "n", "title": "t", "options": options}))
    assert error.field == "options.live_activity.relevance_score"


@pytest.mark.parametrize(
    ("value", "field"),
    [
        (rb'{"id": "n", "title": "x \ud800 y"}', "title"),
        (rb'{"id": "n", "data": {"a": "\udc00 and more text"}}', "data.a"),
        (rb'{"id": "n", "locales": {"de": {"body": "\ud83d \u0041bc def"}}}', "locales.de.body"),
        (b'{"id": "n", "title": "Gr\xfc\xdfe"}', "title"),
        (rb'{"id": "n", "data": {"\ud800 name, and more": "v"}}', "data"),
    ],
)
def test_half_a_surrogate_pair_or_no_utf8_is_named_by_its_field(value: bytes, field: str) -> None:
    error = note_refused(value)
    assert (error.reason, error.field) == ("not_json", field)


def test_a_token_with_half_a_surrogate_pair_is_named_and_not_quoted() -> None:
    value = rb'{"op": "register", "token": "secret \ud800 secret"}'
    error = refused(lambda: CHANGES.decode("u", value, T0))
    assert (error.reason, error.field) == ("not_json", "token")
    assert "secret" not in str(error)


@pytest.mark.parametrize("at", [0, 1_800_000_000, 946_684_799_999])
def test_a_record_time_before_2000_is_no_creation_time(at: int) -> None:
    error = note_refused(note(), at)
    assert (error.reason, error.field) == ("invalid_field", "created_at")
    assert "seconds" in str(error)


@pytest.mark.parametrize("number", [2**63, 2**64 - 1, 2**70, -(2**63) - 1, -(2**70)])
def test_a_number_beyond_64_bits_is_never_written_as_another_one(number: int) -> None:
    with pytest.raises(ValueError, match="64 bits"):
        long_of(number)


@pytest.mark.parametrize("number", [2**63 - 1, -(2**63), 2**31, -1, 0])
def test_numbers_of_64_bits_are_written_and_read(number: int) -> None:
    assert long_at(long_of(number), 0)[0] == number


def test_a_batch_whose_badge_could_not_be_written_again_is_refused() -> None:
    odd = replace(message(1), options=Options(badge=2**31))
    assert refused(lambda: check_message(odd)).field == "badge"


@pytest.mark.parametrize("attempt", [2**31 - 1, 2**31, 2**40, -1])
def test_an_attempt_that_could_not_be_counted_further_is_refused(attempt: int) -> None:
    odd = message(1)
    odd.targets.attempt[0] = attempt
    assert refused(lambda: check_message(odd)).field == "attempt"


@pytest.mark.parametrize("run", [2**31, 2**40, -1])
def test_a_run_beyond_31_bits_is_refused(run: int) -> None:
    value = encode_batch(replace(send_batch(message(1)), run=77_777)).replace(long_of(77_777), long_of(run))
    assert refused(lambda: decode_batch(value)).field == "run"


@pytest.mark.parametrize("asks", [2**31 - 1, 2**31, 2**40, -1])
def test_tickets_asked_about_too_often_to_count_are_refused(asks: int) -> None:
    kind = avro_type("ticket_batch")
    batch = TicketBatch(str(Platform.EXPO), "news", T0, 77_777)
    datum = {name: getattr(batch, name) for name in TicketBatch.__dataclass_fields__}
    value = kind.encode(datum).replace(long_of(77_777), long_of(asks))
    assert refused(lambda: decode_tickets(value)).field == "asks"
