"""What a decoder remembers of a campaign never shows: it answers as one that has seen nothing."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pushcast.model.errors import InvalidInput
from pushcast.wire.notifications import ClassRule, NotificationDecoder
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
@given(datums, st.data())
def test_a_changed_or_cut_record_is_answered_as_by_a_fresh_one(datum: dict[str, Any], data: st.DataObject) -> None:
    warm = fresh()
    value = bytearray(avro_type("notification").encode(datum))
    answer(warm, "ann", bytes(value), None)
    at = data.draw(st.integers(0, len(value) - 1))
    if data.draw(st.booleans()):
        del value[at:]
    else:
        value[at] = data.draw(st.integers(0, 255))
    assert answer(warm, "ann", bytes(value), None) == answer(fresh(), "ann", bytes(value), None)
