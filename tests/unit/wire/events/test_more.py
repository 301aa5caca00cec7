"""What a batch carries beyond the columns of the release before."""

from __future__ import annotations

from typing import Any

import pytest

from pushcast.model.batch import Message, SendBatch
from pushcast.model.errors import InvalidInput
from pushcast.model.notification import Action, Content, Options, Sound
from pushcast.model.quiet import Quiet, QuietTerms
from pushcast.model.sealing import Sealing
from pushcast.wire.events.more import More, more_of
from pushcast.wire.schemas import FRAME_BYTES, avro_type
from pushcast.wire.sending.batches import PLAIN_TYPE, decode_batch, encode_batch
from unit.providers.fields import CASES, message_of, note_of

NEWEST, PLAIN = avro_type("send_batch"), PLAIN_TYPE


def batch(*messages: Message) -> SendBatch:
    return SendBatch("normal", "apns", list(messages))


@pytest.mark.parametrize("event", CASES.values(), ids=CASES)
def test_a_sender_reads_what_the_event_said(event: dict[str, Any]) -> None:
    message = message_of(event)
    assert decode_batch(encode_batch(batch(message))) == batch(message)


def test_the_newest_schema_is_written_only_where_the_release_before_has_no_place() -> None:
    plain, rich = message_of({"title": "Goal!"}), message_of({"title": "Goal!", "link": "https://example.com"})
    assert encode_batch(batch(plain))[:FRAME_BYTES] == PLAIN.frame
    assert encode_batch(batch(plain, rich))[:FRAME_BYTES] == NEWEST.frame
    assert decode_batch(encode_batch(batch(plain, rich))) == batch(plain, rich)


def test_a_text_that_nobody_wrote_is_undecodable() -> None:
    datum = NEWEST.decode(encode_batch(batch(message_of({"title": "Goal!", "link": "https://example.com"}))))
    datum["messages"][0]["more"] = '{"actions": 5}'
    with pytest.raises(InvalidInput) as refused:
        decode_batch(NEWEST.encode(datum))
    assert refused.value.reason == "undecodable"


def test_contents_that_differ_in_one_field_have_different_batch_keys() -> None:
    keys = {name: note_of(event).content_key for name, event in CASES.items()}
    of_times = [name for name, event in CASES.items() if event.get("options", {}).keys() == {"ttl_seconds"}]
    assert {keys.pop(name) for name in of_times} == {keys["title"]}, "a time is each target's own"
    assert len(set(keys.values())) == len(keys)


OTHER: dict[str, Any] = {
    "data": {"n": 1},
    "subtitle": "s",
    "image": "https://example.com/a.png",
    "link": "https://example.com",
    "category": "c",
    "actions": (Action("a", "A"),),
    "platforms": {"fcm": {"a": 1}},
    "tracked": True,
    "sound": Sound("bell"),
    "interruption_level": "passive",
    "relevance_score": 0.0,
    "mutable_content": True,
    "channel_id": "c",
    "analytics_label": "a",
    "quiet": QuietTerms(Quiet.HOLD, "UTC", ()),
    "sealing": Sealing("t"),
}


def test_every_field_is_asked_before_it_is_said_that_there_is_nothing() -> None:
    of_notifications = {"replay_of"}  # `with_replays` adds it
    assert set(OTHER) == set(More.__struct_fields__) - of_notifications
    assert more_of(Content("t"), Options()) is None
    for name, value in OTHER.items():
        content = Content("t", **{name: value}) if name in Content.__struct_fields__ else Content("t")
        options = Options(**{name: value}) if name in Options.__struct_fields__ else Options()
        beside = {name: value} if name in {"quiet", "sealing"} else {}
        assert more_of(content, options, **beside) is not None, name
