"""What a decoder remembers of a campaign never shows: it answers as one that has seen nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pushcast.model.errors import InvalidInput
from pushcast.wire.avro_bytes import long_of
from pushcast.wire.events import notifications
from pushcast.wire.events.class_rules import ClassRule
from pushcast.wire.events.notifications import NotificationDecoder
from pushcast.wire.schemas import avro_type

T0 = 1_800_000_000_000
CLASSES = {"default": ClassRule(1000), "breaking": ClassRule(60_000)}
names = st.sampled_from(["n", "m-2", "ü", "x" * 31, "x" * 63, "x" * 64, "x" * 300, "", "a\0b"])
optional = st.none() | st.sampled_from(["", "Goal!", "y" * 100])
datums = st.fixed_dictionaries(
    {
        "id": names,
        "user": st.sampled_from([None, None, "ann", "bob", "z" * 70]),
        "app": st.sampled_from([None, "news", "chat", "nope"]),
        "class": st.sampled_from([None, "breaking", "nope"]),
        "title": optional,
        "body": optional,
        "data": st.sampled_from([{}, {"match": "4711"}]),
        "options": st.sampled_from([None, {"badge": 3}, {"collapse_id": "c" * 65}, {"push_type": "carrier-pigeon"}]),
        "created_at": st.sampled_from([None, T0, -5]),
        "expires_at": st.sampled_from([None, T0 + 5, 3]),
        "trace": st.sampled_from([None, "00-ab-cd-01", "t" * 200]),
    }
)


def answer(decoder: NotificationDecoder, user: str, value: bytes, trace: bytes | None) -> Any:
    try:
        return decoder.decode(user, value, T0 + 1, trace)
    except InvalidInput as error:
        return error.reason, str(error), error.field


def fresh() -> NotificationDecoder:
    return NotificationDecoder(["news", "chat"], CLASSES)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(datums, st.sampled_from(["ann", "bob"]), st.sampled_from([None, b"00-header"])), max_size=8))
def test_a_decoder_that_has_seen_others_answers_as_a_fresh_one(events: list[tuple[dict[str, Any], str, Any]]) -> None:
    warm = fresh()
    encode = avro_type("notification").encode
    for datum, user, trace in events:
        for note_id in (datum["id"], "other"):
            value = encode(datum | {"id": note_id})
            assert answer(warm, user, value, trace) == answer(fresh(), user, value, trace)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(datums, st.sampled_from(["ann", "bob"])), max_size=8))
def test_json_that_was_seen_before_is_answered_as_if_it_were_new(events: list[tuple[dict[str, Any], str]]) -> None:
    warm = fresh()
    for datum, user in [*events, *events]:
        value = json.dumps(datum).encode()
        assert answer(warm, user, value, None) == answer(fresh(), user, value, None)


def changed(value: bytes, data: st.DataObject) -> bytes:
    at = data.draw(st.integers(0, len(value) - 1))
    if data.draw(st.booleans()):
        return value[:at]
    return value[:at] + bytes([data.draw(st.integers(0, 255))]) + value[at + 1 :]


MARK = 77_777  # a badge that becomes any number
TIMES = ("created_at", "expires_at")
options = st.none() | st.fixed_dictionaries(
    {},
    optional={
        "collapse_id": optional,
        "thread_id": optional,
        "sound": optional,
        "badge": st.none() | st.integers(-(2**31), 2**31 - 1) | st.just(MARK),
        "priority": st.sampled_from(["high", "normal"]),
        "push_type": st.sampled_from(["alert", "background", "carrier-pigeon"]),
        "dry_run": st.booleans(),
        "at_most_once": st.booleans(),
        "live_activity": st.sampled_from([None, {"event": "start"}, {"event": "end", "timestamp": 7}]),
    },
)
wide = st.builds(
    lambda datum, choice, locales, times: datum | {"options": choice, "locales": locales} | times,
    datums,
    options,
    st.sampled_from([{}, {}, {"de": {"title": "Tor!"}}]),
    st.fixed_dictionaries(
        {name: st.none() | st.integers(-(2**63), 2**63 - 1) for name in ("created_at", "expires_at")}
    ),
)


@settings(max_examples=600, deadline=None)
@given(wide, st.booleans(), st.data())
def test_the_quick_reader_answers_as_the_general_one_or_leaves_it_to_it(
    datum: dict[str, Any], intact: bool, data: st.DataObject
) -> None:
    beyond = long_of(data.draw(st.integers(-(2**63), 2**63 - 1)))  # no writer of ours puts it into an Avro int
    value = avro_type("notification").encode(datum).replace(long_of(MARK), beyond)
    if not intact:
        value = changed(value, data)
    quick = answer(fresh(), "ann", value, None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(notifications, "split", lambda _: None)
        assert quick == answer(fresh(), "ann", value, None)


@settings(max_examples=300, deadline=None)
@given(datums, st.data())
def test_a_changed_or_cut_record_is_answered_as_by_a_fresh_one(datum: dict[str, Any], data: st.DataObject) -> None:
    warm = fresh()
    value = avro_type("notification").encode(datum)
    answer(warm, "ann", value, None)
    value = changed(value, data)
    assert answer(warm, "ann", value, None) == answer(fresh(), "ann", value, None)
